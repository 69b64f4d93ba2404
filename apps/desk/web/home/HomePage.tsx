/** What waits for me, what moved, and how much is open. */
import { Button, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import {
  ButtonLink,
  EmptyState,
  ErrorState,
  formatCount,
  formatPlural,
  LoadingState,
  PageTitle,
  Panel,
  RelativeTime,
  TextLink,
} from '../../../../web/design/index.ts';
import type { ItemSummary, Me, StateCount, Summary } from '../../api.ts';
import { meQuery, summaryQuery } from '../data/queries.ts';
import { openStates, stateWords } from '../data/words.ts';
import { useCreateItem } from '../items/CreateItemDialog.tsx';
import { DueMark, Initials, PriorityMark, StateMark, TypeMark } from '../items/marks.tsx';
import classes from './HomePage.module.css';

export function HomePage() {
  const { data, error, refetch } = useQuery(summaryQuery);
  const me = useQuery(meQuery).data;
  return (
    <>
      <PageTitle title="Home" {...(data ? { subtitle: <Headline summary={data} /> } : {})} />
      {error && !data && <ErrorState error={error} onRetry={() => void refetch()} />}
      {!data && !error && <LoadingState rows={10} label="Loading your items" />}
      {data && (data.projects.length === 0 ? <FirstSteps me={me} /> : <Overview summary={data} />)}
    </>
  );
}

function Headline({ summary }: { summary: Summary }) {
  const open = summary.byState
    .filter(({ state }) => openStates.includes(state))
    .reduce((sum, { count }) => sum + count, 0);
  const figures: [number, string, string, Record<string, string>, string?][] = [
    [open, 'open', 'open', { state: 'open' }],
    [summary.openUrgent, 'urgent', 'urgent', { state: 'open', priority: 'urgent' }, 'urgent'],
    [summary.overdue, 'overdue', 'overdue', { due: 'overdue', sort: 'due' }, 'late'],
    [summary.openUnassigned, 'without assignee', 'without assignee', { state: 'open', assignee: 'none' }],
  ];
  return (
    <span className={classes.figures}>
      {figures.map(([count, one, many, search, tone]) => (
        <Link key={one} to="/items" search={search} className={classes.figure} data-tone={count > 0 ? tone : undefined}>
          <b>{formatCount(count)}</b> {count === 1 ? one : many}
        </Link>
      ))}
    </span>
  );
}

function Overview({ summary }: { summary: Summary }) {
  const create = useCreateItem();
  return (
    <div className={classes.columns}>
      <div className={classes.main}>
        <Panel
          title={`Mine (${formatCount(summary.mine.total)})`}
          {...(summary.mine.overdue > 0
            ? { description: `${formatPlural(summary.mine.overdue, 'item')} overdue` }
            : {})}
          action={
            summary.mine.total > summary.mine.items.length && (
              <TextLink to="/items" search={{ assignee: 'me', state: 'open', sort: 'due' }}>
                See all
              </TextLink>
            )
          }
        >
          {summary.mine.items.length === 0 ? (
            <EmptyState
              plain
              title="Nothing is assigned to you"
              action={
                <Button variant="default" size="xs" onClick={() => create.open()}>
                  Create an item
                </Button>
              }
            >
              Open items that you are the assignee of are listed here.{' '}
              <TextLink to="/items" search={{ state: 'open', assignee: 'none' }}>
                See what nobody has yet
              </TextLink>
            </EmptyState>
          ) : (
            <ItemLines items={summary.mine.items} aside={(item) => <DueMark item={item} />} />
          )}
        </Panel>
        <Panel title="Recently changed" action={<TextLink to="/items">All items</TextLink>}>
          {summary.recent.length === 0 ? (
            <Text c="dimmed">Nothing yet</Text>
          ) : (
            <ItemLines
              items={summary.recent}
              aside={(item) => (
                <span className={classes.when}>
                  <span className={classes.by}>{item.updatedBy.name}, </span>
                  <RelativeTime value={item.updatedAt} />
                </span>
              )}
              withAssignee
            />
          )}
        </Panel>
      </div>
      <div className={classes.side}>
        <Panel title="By state">
          <StateBars counts={summary.byState} />
        </Panel>
        <Panel title="Projects" action={<TextLink to="/projects">All</TextLink>}>
          <ul className={classes.lines}>
            {summary.projects.map((project) => (
              <li key={project.id}>
                <Link to="/p/$key/board" params={{ key: project.key }} className={classes.item}>
                  <span className={classes.key}>{project.key}</span>
                  <span className={classes.title}>{project.name}</span>
                  <span className={classes.aside} title={`${formatCount(project.total)} in all`}>
                    {formatCount(project.open)} open
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
    </div>
  );
}

function ItemLines(props: {
  items: readonly ItemSummary[];
  aside: (item: ItemSummary) => ReactNode;
  withAssignee?: boolean;
}) {
  return (
    <ul className={classes.lines}>
      {props.items.map((item) => (
        <li key={item.id}>
          <Link to="/i/$key" params={{ key: item.key }} className={classes.item}>
            <StateMark state={item.state} labelled />
            <PriorityMark priority={item.priority} labelled />
            <TypeMark type={item.type} labelled />
            <span className={classes.key}>{item.key}</span>
            <span className={classes.title}>{item.title}</span>
            <span className={classes.aside}>{props.aside(item)}</span>
            {props.withAssignee && <Initials user={item.assignee} size={20} />}
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Labelled directly: word, bar, number; each leads to its list. */
function StateBars({ counts }: { counts: readonly StateCount[] }) {
  const largest = Math.max(1, ...counts.map(({ count }) => count));
  return (
    <ul className={classes.lines}>
      {counts.map(({ state, count }) => (
        <li key={state}>
          <Link to="/items" search={{ state }} className={classes.bar}>
            <StateMark state={state} />
            <span>{stateWords[state]}</span>
            <span className={classes.track} aria-hidden="true">
              <span className={classes.fill} data-state={state} style={{ width: `${(count / largest) * 100}%` }} />
            </span>
            <span className={classes.number}>{formatCount(count)}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function FirstSteps({ me }: { me: Me | undefined }) {
  if (!me?.can.manageProjects) {
    return (
      <EmptyState title="There is no project yet">
        Items belong to projects. An administrator of {me?.tenant.title ?? 'your account'} creates the first one; then
        it appears here.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      title="Begin with a project"
      action={
        <div className={classes.actions}>
          <ButtonLink to="/projects">Create a project</ButtonLink>
          <ButtonLink to="/import" variant="default">
            Import tickets from CSV
          </ButtonLink>
        </div>
      }
    >
      A project has a short key, for example SUP; its items are then called SUP-1, SUP-2, and so on.
    </EmptyState>
  );
}
