import { Progress, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import {
  CopyableId,
  formatBytes,
  formatCount,
  formatPlural,
  Notice,
  Panel,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import { type Backup, type BackupRun, backupsQuery } from './api.ts';

/** The base backup that is being taken, and how it ended, for whoever saw it run. A failure stays until there is a newer backup. */
export function RunPanel({ run, newest }: { run: BackupRun; newest: Backup | undefined }) {
  const queryClient = useQueryClient();
  const { state } = run;
  const [wasSeen, setSeen] = useState(state === 'running');
  if (state === 'running' && !wasSeen) setSeen(true);
  useEffect(() => {
    if (state !== 'running') void queryClient.invalidateQueries({ queryKey: backupsQuery.queryKey });
  }, [state, queryClient]);
  if (state === 'running') return <Running run={run} />;
  if (state === 'failed' && newest && newest.finishedAt > run.startedAt) return null;
  if (state === 'failed')
    return (
      <Notice
        tone="urgent"
        role="alert"
        title={`The last base backup failed: ${run.error?.text ?? 'nobody knows why'}`}
      >
        <Text size="sm">
          It began <RelativeTime value={run.startedAt} />. Code <CopyableId value={run.error?.code ?? ''} what="code" />
        </Text>
        <Text size="sm">
          There is no half a backup: what was written is removed later. Look at Health, then press “Back up now”.
        </Text>
      </Notice>
    );
  if (!wasSeen) return null;
  const { backup, storedDatabases = 0, unchangedDatabases = 0, writtenBytes = 0 } = run;
  return (
    <Notice tone="ok" role="status" title="The base backup is complete">
      <Text size="sm">
        {formatPlural(storedDatabases, 'database')} stored, {formatCount(unchangedDatabases)} unchanged since the last
        one; {formatBytes(writtenBytes)} written to each region{backup ? ` (${backup.regions.join(', ')})` : ''}.
      </Text>
    </Notice>
  );
}

function Running({ run: { readBytes, expectedBytes, startedAt } }: { run: BackupRun }) {
  // The first one has nothing to be compared with.
  const share = expectedBytes ? Math.min(0.99, readBytes / expectedBytes) : undefined;
  return (
    <Panel
      title="Taking a base backup"
      description="You can leave this page; it goes on. Tenants are not held up."
      action={<StateBadge tone="working">Running</StateBadge>}
    >
      <Text size="sm" c="dimmed" mb={4} role="status">
        {formatBytes(readBytes)} read{expectedBytes ? ` of about ${formatBytes(expectedBytes)}` : ''}, begun{' '}
        <RelativeTime value={startedAt} />
      </Text>
      <Progress
        value={share === undefined ? 4 : share * 100}
        striped={share === undefined}
        animated={share === undefined}
        size="sm"
        color="green"
        aria-label="Progress"
      />
    </Panel>
  );
}
