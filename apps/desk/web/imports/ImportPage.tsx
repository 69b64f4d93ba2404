/** One import, whatever state it is in: mapping, progress, report. The address can be left and come back to. */
import { Button, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import {
  apiFetch,
  EmptyState,
  ErrorState,
  formatPlural,
  LoadingState,
  Notice,
  notifyProblem,
  PageTitle,
  RelativeTime,
  SizeText,
  StateBadge,
} from '../../../../web/design/index.ts';
import type { Import } from '../../api.ts';
import { importQuery, keys, meQuery } from '../data/queries.ts';
import { importStateWords } from '../data/words.ts';
import { ImportProgressView } from './ImportProgressView.tsx';
import { ImportReport } from './ImportReport.tsx';
import { importTones } from './ImportsPage.tsx';
import { MappingForm } from './MappingForm.tsx';

export function ImportPage() {
  const { importId = '' } = useParams({ strict: false }) as { importId?: string };
  const me = useQuery(meQuery).data;
  const allowed = me?.can.importItems ?? false;
  const { data, error, refetch } = useQuery({ ...importQuery(importId), enabled: allowed });
  const back = { to: '/import', label: 'Imports' };
  if (me && !allowed) {
    return (
      <>
        <PageTitle title="Import" back={back} />
        <EmptyState title="Only administrators see imports">
          Ask an owner or administrator of {me.tenant.title}.
        </EmptyState>
      </>
    );
  }
  if (!data) {
    return (
      <>
        <PageTitle title="Import" back={back} />
        {error ? <ErrorState error={error} onRetry={() => void refetch()} /> : <LoadingState rows={8} />}
      </>
    );
  }
  return (
    <>
      <PageTitle
        title={`Import of ${data.file.name}`}
        back={back}
        badge={<StateBadge tone={importTones[data.state]}>{importStateWords[data.state]}</StateBadge>}
        subtitle={
          <>
            {formatPlural(data.rowCount, 'row')}, <SizeText bytes={data.file.sizeBytes} />, uploaded{' '}
            <RelativeTime value={data.createdAt} /> by {data.createdBy.name}
          </>
        }
        action={canCancel(data) && <CancelButton imported={data} />}
      />
      <ImportBody imported={data} />
    </>
  );
}

function ImportBody({ imported }: { imported: Import }) {
  switch (imported.state) {
    case 'running':
      return <ImportProgressView imported={imported} />;
    case 'done':
    case 'undone':
      return <ImportReport imported={imported} />;
    case 'cancelled':
      return (
        <EmptyState title="This import was cancelled">
          Nothing was made. To import the file after all, upload it again.
        </EmptyState>
      );
    default:
      return (
        <Stack gap="md">
          {imported.state === 'failed' && (
            <Notice tone="urgent" title="The import failed, and nothing was made">
              <Text size="sm">
                {imported.error?.message ?? 'The server ran into an error of its own.'} Mend the mapping or the file,
                then start again.
              </Text>
            </Notice>
          )}
          {imported.state === 'interrupted' && (
            <Notice tone="late" title="The server stopped while this import ran, and nothing was made">
              <Text size="sm">Check the rows again and start it once more.</Text>
            </Notice>
          )}
          <MappingForm key={imported.id} imported={imported} />
        </Stack>
      );
  }
}

function canCancel(imported: Import): boolean {
  return !['done', 'undone', 'cancelled'].includes(imported.state);
}

function CancelButton({ imported }: { imported: Import }) {
  const queryClient = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => apiFetch<Import>(`/api/imports/${imported.id}/cancel`, { method: 'POST' }),
    onSuccess: (cancelled) => {
      queryClient.setQueryData([...keys.imports, imported.id], cancelled);
      void queryClient.invalidateQueries({ queryKey: keys.imports });
    },
    onError: notifyProblem,
  });
  return (
    <Button variant="default" onClick={() => cancel.mutate()} loading={cancel.isPending}>
      {imported.state === 'running' ? 'Stop, make nothing' : 'Give up this import'}
    </Button>
  );
}
