/** Live progress: what it is doing, how far, how long it may take. It goes on when this page is closed. */
import { Progress, Text } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { formatCount, formatDuration, formatPlural, Panel, TextLink } from '../../../../web/design/index.ts';
import type { Import, ImportProgress } from '../../api.ts';

const phaseWords: Readonly<Record<ImportProgress['phase'], string>> = {
  waiting: 'Waiting to begin',
  reading: 'Checking rows',
  creating: 'Making items',
  finished: 'Finishing',
};

export function ImportProgressView({ imported }: { imported: Import }) {
  const { progress } = imported;
  const leftMs = useTimeLeft(progress);
  const share = shareOf(progress);
  return (
    <Panel title={phaseWords[progress.phase]}>
      <Progress value={share * 100} size="lg" aria-label="Progress of the import" />
      <Text mt="xs" role="status">
        {progress.total > 0 && `${formatCount(progress.done)} of ${formatCount(progress.total)} rows`}
        {progress.refused > 0 && `, ${formatPlural(progress.refused, 'row')} refused so far`}
        {leftMs !== undefined && `, about ${formatDuration(leftMs)} left`}
      </Text>
      <Text c="dimmed" size="sm" mt="xs">
        You can leave this page: the import goes on, and this address shows how far it is. The items appear all at once
        at the end. <TextLink to="/import">All imports</TextLink>
      </Text>
    </Panel>
  );
}

/** Two passes over the rows; making items is the longer one. */
function shareOf({ phase, done, total }: ImportProgress): number {
  const part = total > 0 ? done / total : 0;
  if (phase === 'waiting') return 0;
  if (phase === 'reading') return part * 0.3;
  return phase === 'creating' ? 0.3 + part * 0.7 : 1;
}

/** From the pace of this phase as seen on this page; undefined until there is one. */
function useTimeLeft(progress: ImportProgress): number | undefined {
  const began = useRef({ phase: progress.phase, done: progress.done, atMs: Date.now() });
  const [leftMs, setLeftMs] = useState<number>();
  useEffect(() => {
    if (began.current.phase !== progress.phase) {
      began.current = { phase: progress.phase, done: progress.done, atMs: Date.now() };
      setLeftMs(undefined);
      return;
    }
    const rows = progress.done - began.current.done;
    const elapsedMs = Date.now() - began.current.atMs;
    if (rows > 0 && elapsedMs > 1_500) setLeftMs(((progress.total - progress.done) / rows) * elapsedMs);
  }, [progress]);
  return leftMs !== undefined && leftMs > 1_000 ? leftMs : undefined;
}
