/** Brings items of another system in from a CSV file; and what was imported before. */
import { Button, FileButton, Progress, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import {
  apiUpload,
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  formatBytes,
  formatCount,
  LoadingState,
  PageTitle,
  Panel,
  ProblemNotice,
  RelativeTime,
  SizeText,
  StateBadge,
  TextLink,
  type Tone,
} from '../../../../web/design/index.ts';
import type { Import, ImportState } from '../../api.ts';
import { importsQuery, keys, meQuery } from '../data/queries.ts';
import { importStateWords } from '../data/words.ts';
import { FileDrop } from '../item/FileDrop.tsx';
import { IconUpload } from '../items/icons.ts';
import classes from './ImportsPage.module.css';

const mostBytes = 200 * 1024 * 1024;

export function ImportsPage() {
  const me = useQuery(meQuery).data;
  const allowed = me?.can.importItems ?? false;
  const { data, error, refetch } = useQuery({ ...importsQuery, enabled: allowed });
  const navigate = useNavigate();
  return (
    <>
      <PageTitle
        title="Import"
        subtitle="Items of another system, from a CSV file: choose, map the columns, check, start."
      />
      {!me ? (
        <LoadingState />
      ) : !allowed ? (
        <EmptyState title="Only administrators import">
          Ask an owner or administrator of {me.tenant.title} to import the file, or to give you the right.
        </EmptyState>
      ) : (
        <Stack gap="lg">
          <Upload />
          <Panel title="Past imports" flush>
            {error && !data && <ErrorState error={error} onRetry={() => void refetch()} />}
            {!data && !error && <LoadingState rows={3} />}
            {data?.imports.length === 0 && (
              <EmptyState title="No imports yet">Each import keeps its report, and can be undone from here.</EmptyState>
            )}
            {data && data.imports.length > 0 && (
              <DataTable
                label="Past imports"
                columns={columns}
                rows={data.imports}
                rowKey={(each) => each.id}
                onOpen={(each) => void navigate({ to: '/import/$importId', params: { importId: each.id } })}
              />
            )}
          </Panel>
        </Stack>
      )}
    </>
  );
}

export const importTones: Readonly<Record<ImportState, Tone>> = {
  uploaded: 'late',
  ready: 'late',
  running: 'working',
  interrupted: 'late',
  failed: 'urgent',
  cancelled: 'quiet',
  done: 'ok',
  undone: 'quiet',
};

const columns: readonly Column<Import>[] = [
  {
    key: 'file',
    header: 'File',
    cell: (each) => (
      <TextLink to="/import/$importId" params={{ importId: each.id }}>
        {each.file.name}
      </TextLink>
    ),
  },
  {
    key: 'state',
    header: 'State',
    cell: (each) => <StateBadge tone={importTones[each.state]}>{importStateWords[each.state]}</StateBadge>,
    width: '12rem',
  },
  { key: 'rows', header: 'Rows', cell: (each) => formatCount(each.rowCount), align: 'right', width: '6rem' },
  {
    key: 'made',
    header: 'Made',
    cell: (each) => (each.result ? formatCount(each.result.created) : ''),
    align: 'right',
    width: '6rem',
  },
  { key: 'by', header: 'By', cell: (each) => each.createdBy.name, width: '10rem' },
  { key: 'when', header: 'When', cell: (each) => <RelativeTime value={each.createdAt} />, width: '9rem' },
];

function Upload() {
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [sending, setSending] = useState<{ file: File; share: number }>();
  const [error, setError] = useState<unknown>();
  const [refusal, setRefusal] = useState<string>();
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(), []);

  const send = async (file: File | null | undefined) => {
    setError(undefined);
    setRefusal(undefined);
    if (!file) return;
    if (file.size > mostBytes) {
      setRefusal(
        `${file.name} has ${formatBytes(file.size)}; a file may have ${formatBytes(mostBytes)}. Split it and import the parts.`,
      );
      return;
    }
    const stop = new AbortController();
    abort.current = stop;
    setSending({ file, share: 0 });
    try {
      const made = await apiUpload<Import>('/api/imports', file, {
        signal: stop.signal,
        onProgress: (share) => setSending({ file, share }),
      });
      queryClient.setQueryData([...keys.imports, made.id], made);
      void queryClient.invalidateQueries({ queryKey: importsQuery.queryKey });
      void navigate({ to: '/import/$importId', params: { importId: made.id } });
    } catch (problem) {
      if (!stop.signal.aborted) setError(problem);
    } finally {
      setSending(undefined);
    }
  };

  return (
    <FileDrop label="Drop the CSV file" onFiles={(files) => void send(files[0])} disabled={sending !== undefined}>
      <div className={classes.drop}>
        {sending ? (
          <div className={classes.sending}>
            <Text fw={600}>{sending.file.name}</Text>
            <Progress value={sending.share * 100} aria-label={`Sending ${sending.file.name}`} />
            <Text size="sm" c="dimmed" role="status">
              {sending.share < 1 ? (
                <>
                  Sending, {Math.floor(sending.share * 100)} % of <SizeText bytes={sending.file.size} />
                </>
              ) : (
                'Reading the file'
              )}
            </Text>
            <Button variant="default" size="xs" onClick={() => abort.current?.abort()}>
              Stop
            </Button>
          </div>
        ) : (
          <>
            <span className={classes.sign}>
              <IconUpload size={22} aria-hidden />
            </span>
            <div>
              <Text fw={600}>Drop a CSV file here</Text>
              <Text c="dimmed" size="sm">
                UTF-8 with a header row, up to 200 MB. Nothing is made before you have seen what will come of it.
              </Text>
            </div>
            <FileButton onChange={(file) => void send(file)} accept=".csv,.tsv,.txt,text/csv">
              {(props) => <Button {...props}>Choose file</Button>}
            </FileButton>
          </>
        )}
      </div>
      {refusal && (
        <Text c="var(--fh-urgent)" role="alert" mt="xs">
          {refusal}
        </Text>
      )}
      <div className={classes.problem}>
        <ProblemNotice error={error} />
      </div>
    </FileDrop>
  );
}
