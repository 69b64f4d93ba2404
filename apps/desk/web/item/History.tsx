/** Who changed what, newest first. Long texts are unfolded on demand, before and after side by side. */
import { Button, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { ErrorState, LoadingState, RelativeTime } from '../../../../web/design/index.ts';
import type { HistoryChange, HistoryEntry } from '../../api.ts';
import { historyQuery } from '../data/queries.ts';
import { Initials } from '../items/marks.tsx';
import { wordsOf } from './ConflictDialog.tsx';
import classes from './History.module.css';

export function History({ itemKey }: { itemKey: string }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    historyQuery(itemKey),
  );
  const entries = data?.pages.flatMap((page) => page.entries);
  if (error && !entries) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!entries) return <LoadingState rows={3} label="Loading history" />;
  return (
    <>
      <ol className={classes.list}>
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ol>
      {entries.length === 0 && <Text c="dimmed">Nothing has happened yet</Text>}
      {hasNextPage && (
        <Button variant="default" size="xs" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Show older
        </Button>
      )}
    </>
  );
}

const actionWords: Readonly<Record<HistoryEntry['action'], string>> = {
  created: 'created the item',
  imported: 'imported the item',
  changed: 'changed',
  comment_deleted: 'deleted a comment',
  attachment_added: 'attached',
  attachment_deleted: 'deleted the file',
};

function Entry({ entry }: { entry: HistoryEntry }) {
  const file = entry.changes.find((change) => change.field === 'attachment');
  const changes = entry.changes.filter((change) => change.field !== 'attachment');
  const only = changes.length === 1 ? changes[0] : undefined;
  return (
    <li className={classes.entry}>
      <span className={classes.dot} aria-hidden="true">
        <Initials user={entry.by} size={20} />
      </span>
      <div className={classes.text}>
        <b>{entry.by.name}</b> {actionWords[entry.action]}
        {file && <> {wordsOf(file.to ?? file.from)}</>}
        {only && (only.field === 'description' ? ' the description' : <> the {<Change change={only} />}</>)}{' '}
        <span className={classes.when}>
          <RelativeTime value={entry.at} />
        </span>
        {only?.field === 'description' && <BeforeAndAfter change={only} />}
        {changes.length > 1 && (
          <ul className={classes.changes}>
            {changes.map((change) => (
              <li key={change.field}>
                <Change change={change} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}

const fieldWords: Readonly<Record<HistoryChange['field'], string>> = {
  title: 'title',
  type: 'type',
  description: 'description',
  state: 'state',
  priority: 'priority',
  dueOn: 'due day',
  attachment: 'attachment',
  assignee: 'assignee',
  tags: 'tags',
  requester: 'requester',
};

function BeforeAndAfter({ change }: { change: Extract<HistoryChange, { from: string | null }> }) {
  return (
    <details className={classes.details}>
      <summary>Before and after</summary>
      <div className={classes.both}>
        <div>
          <Text size="xs" c="dimmed">
            Before
          </Text>
          <pre>{change.from ?? ''}</pre>
        </div>
        <div>
          <Text size="xs" c="dimmed">
            After
          </Text>
          <pre>{change.to ?? ''}</pre>
        </div>
      </div>
    </details>
  );
}

function Change({ change }: { change: HistoryChange }) {
  if (change.field === 'description') {
    return (
      <>
        description <BeforeAndAfter change={change} />
      </>
    );
  }
  if (change.field === 'tags') {
    const added = change.to.filter((tag) => !change.from.includes(tag));
    const removed = change.from.filter((tag) => !change.to.includes(tag));
    return (
      <>
        tags:{added.length > 0 && ` added ${added.join(', ')}`}
        {added.length > 0 && removed.length > 0 && ','}
        {removed.length > 0 && ` removed ${removed.join(', ')}`}
      </>
    );
  }
  return (
    <>
      {fieldWords[change.field]} from <span className={classes.value}>{wordsOf(change.from)}</span> to{' '}
      <span className={classes.value}>{wordsOf(change.to)}</span>
    </>
  );
}
