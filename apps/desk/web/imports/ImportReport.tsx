/** What an import made and refused, and the way back. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  ButtonLink,
  ErrorState,
  Fact,
  Facts,
  formatCount,
  formatDuration,
  formatPlural,
  LoadingState,
  Notice,
  Panel,
  ProblemNotice,
  RelativeTime,
  TextLink,
} from '../../../../web/design/index.ts';
import type { Import, ImportResult, ImportUndo } from '../../api.ts';
import { keys, refusedQuery } from '../data/queries.ts';
import { IconDownload } from '../items/icons.ts';
import { RefusedRows } from './RefusedRows.tsx';

export function ImportReport({ imported }: { imported: Import }) {
  const { result, undo } = imported;
  const [asking, setAsking] = useState(false);
  if (!result) return null;
  return (
    <Stack gap="md">
      {undo ? <UndoneNotice undo={undo} result={result} /> : <MadeNotice result={result} />}
      <Panel
        title="Report"
        action={
          !undo && (
            <Button variant="default" size="xs" onClick={() => setAsking(true)}>
              Undo this import
            </Button>
          )
        }
      >
        <Facts>
          <Fact label="Made">{formatCount(result.created)}</Fact>
          <Fact label="Refused">{formatCount(result.refused)}</Fact>
          {result.firstKey && (
            <Fact label="Numbers">
              {result.firstKey} to {result.lastKey}
            </Fact>
          )}
          <Fact label="Took">{formatDuration(result.durationMs)}</Fact>
          <Fact label="Finished">
            <RelativeTime value={imported.finishedAt} />
          </Fact>
        </Facts>
        {!undo?.projectDeleted && (
          <Group gap="xs" mt="md">
            <ButtonLink to="/p/$key/board" params={{ key: result.projectKey }}>
              Open the board of {result.projectKey}
            </ButtonLink>
            <ButtonLink to="/items" search={{ import: imported.id }} variant="default">
              List the items of this import
            </ButtonLink>
          </Group>
        )}
      </Panel>
      {result.refused > 0 && <Refused imported={imported} />}
      <UndoDialog imported={imported} opened={asking} onClose={() => setAsking(false)} />
    </Stack>
  );
}

function MadeNotice({ result }: { result: ImportResult }) {
  return (
    <Notice
      tone={result.refused > 0 ? 'late' : 'ok'}
      role="status"
      title={`${formatPlural(result.created, 'item')} made in ${result.projectKey}`}
    >
      {result.refused > 0
        ? `${formatPlural(result.refused, 'row')} refused: download them below, mend them, and import that file.`
        : 'No row was refused.'}
    </Notice>
  );
}

const keptWords = {
  changed: 'changed since',
  commented: 'commented on since',
  attached: 'with files attached since',
} as const;

function UndoneNotice({ undo, result }: { undo: ImportUndo; result: ImportResult }) {
  const reasons = undo.reasons.map(({ reason, count }) => `${formatCount(count)} ${keptWords[reason]}`).join(', ');
  return (
    <Notice tone="quiet" role="status" title={`Undone: ${formatPlural(undo.deleted, 'item')} deleted`}>
      {undo.kept > 0 && (
        <Text size="sm">
          {formatPlural(undo.kept, 'item')} kept, because people worked on them: {reasons}.
        </Text>
      )}
      {undo.projectDeleted && (
        <Text size="sm">The project {result.projectKey}, which the import had made, is deleted too.</Text>
      )}
      <Text size="sm" c="dimmed">
        <RelativeTime value={undo.at} /> by {undo.by.name}
      </Text>
    </Notice>
  );
}

function Refused({ imported }: { imported: Import }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    refusedQuery(imported.id),
  );
  const rows = data?.pages.flatMap((page) => page.rows);
  return (
    <Panel
      title={`Refused rows (${formatCount(imported.result?.refused ?? 0)})`}
      action={
        <Button
          component="a"
          href={`/api/imports/${imported.id}/refused.csv`}
          download
          variant="default"
          size="xs"
          leftSection={<IconDownload size={14} />}
        >
          Download refused rows
        </Button>
      }
    >
      {error && !rows && <ErrorState error={error} onRetry={() => void refetch()} />}
      {!rows && !error && <LoadingState rows={3} />}
      {rows && <RefusedRows rows={rows} />}
      {hasNextPage && (
        <Button mt="xs" size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Show more
        </Button>
      )}
    </Panel>
  );
}

function UndoDialog({ imported, opened, onClose }: { imported: Import; opened: boolean; onClose: () => void }) {
  const queryClient = useQueryClient();
  const undo = useMutation({
    mutationFn: () => apiFetch<Import>(`/api/imports/${imported.id}/undo`, { method: 'POST' }),
    onSuccess: (undone) => {
      queryClient.setQueryData([...keys.imports, imported.id], undone);
      for (const queryKey of [keys.imports, keys.boards, keys.lists, keys.summary, keys.projects, keys.tags]) {
        void queryClient.invalidateQueries({ queryKey });
      }
      onClose();
    },
  });
  const count = formatPlural(imported.result?.created ?? 0, 'item');
  return (
    <Modal opened={opened} onClose={onClose} title={<Text fw={600}>Undo this import</Text>}>
      <Stack gap="md">
        <Text>
          The {count} that this import made in {imported.result?.projectKey} are deleted for everybody. Kept are those
          that somebody changed, commented on or attached a file to since. If the import made the project and nothing is
          left in it, the project goes too.
        </Text>
        <Text c="dimmed" size="sm">
          To have them again, import {imported.file.name} once more.{' '}
          <TextLink to="/items" search={{ import: imported.id }}>
            See the items
          </TextLink>
        </Text>
        <ProblemNotice error={undo.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Keep them
          </Button>
          <Button color="red" loading={undo.isPending} onClick={() => undo.mutate()}>
            Undo the import
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
