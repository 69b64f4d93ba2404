import { Button, CopyButton, Group, Stack, Switch, Text } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { EmptyState, ErrorState, formatPlural, Panel, ProblemNotice, SearchField } from '../../design/index.ts';
import classes from './AppLog.module.css';
import { type LogLine, mostLines, useAppLog } from './useAppLog.ts';

/** What the app wrote. Opened by an act, because it may hold what the tenant's users do, and that it was opened is recorded. */
export function AppLog({ tenantId, name }: { tenantId: string; name: string }) {
  const [isFollowing, setFollowing] = useState(true);
  const [search, setSearch] = useState('');
  const { lines, isOpen, isOpening, error, open } = useAppLog(tenantId, isFollowing);
  const wanted = search.toLowerCase();
  const shown = wanted === '' ? lines : lines.filter(({ text }) => text.toLowerCase().includes(wanted));
  if (!isOpen)
    return (
      <Panel title="Log">
        {error ? (
          <ErrorState plain error={error} onRetry={open} />
        ) : (
          <EmptyState
            plain
            title="The log is closed"
            action={
              <Button onClick={open} loading={isOpening}>
                Open the log
              </Button>
            }
          >
            It may hold what people of {name} do. That you opened it will be in the audit log.
          </EmptyState>
        )}
      </Panel>
    );
  return (
    <Panel
      title="Log"
      description={
        wanted === ''
          ? `The last ${formatPlural(lines.length, 'line')}, at most ${mostLines}. Times are UTC.`
          : `${shown.length} of ${formatPlural(lines.length, 'line')}`
      }
    >
      <Stack gap="sm">
        <Group gap="sm" align="center">
          <SearchField label="Search the log" value={search} onChange={setSearch} flex="1 1 14rem" />
          <Switch
            label="Follow"
            checked={isFollowing}
            onChange={(changed) => setFollowing(changed.currentTarget.checked)}
          />
          <CopyButton value={shown.map(({ text }) => text).join('\n')} timeout={1_500}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy} disabled={shown.length === 0}>
                {copied ? 'Copied' : 'Copy as text'}
              </Button>
            )}
          </CopyButton>
        </Group>
        {error != null && (
          <Group gap="sm">
            <ProblemNotice error={error} />
            <Button variant="default" onClick={open} loading={isOpening}>
              Open it again
            </Button>
          </Group>
        )}
        {lines.length === 0 ? (
          <EmptyState plain title="The app has written nothing yet">
            What it writes to its standard output and standard error appears here.
          </EmptyState>
        ) : shown.length === 0 ? (
          <EmptyState
            plain
            title="No such line"
            action={
              <Button variant="default" onClick={() => setSearch('')}>
                Show all lines
              </Button>
            }
          />
        ) : (
          <Lines lines={shown} wanted={wanted} isFollowing={isFollowing} name={name} />
        )}
        <Text size="sm" c="dimmed">
          Values that look like secrets are taken out. On the command line: ./freehold app logs {name} --follow
        </Text>
      </Stack>
    </Panel>
  );
}

function Lines(props: { lines: readonly LogLine[]; wanted: string; isFollowing: boolean; name: string }) {
  const { lines, wanted, isFollowing, name } = props;
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const last = lines.at(-1)?.number;
  // Whoever scrolled up reads there; nothing moves away under them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another last line is what moves it
  useEffect(() => {
    if (isFollowing && isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [last, isFollowing]);
  return (
    <section
      ref={box}
      className={classes.log}
      aria-label={`Log of ${name}`}
      // It scrolls, so the keyboard must come into it (WCAG 2.2, 2.1.1).
      // biome-ignore lint/a11y/noNoninteractiveTabindex: as above
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {lines.map(({ number, text, hasGap }) => (
        <div key={number} className={classes.line}>
          {hasGap && <div className={classes.gap}>Lines are missing here: the app wrote more than is kept.</div>}
          {wanted === '' ? text : <Marked text={text} wanted={wanted} />}
        </div>
      ))}
    </section>
  );
}

function Marked({ text, wanted }: { text: string; wanted: string }) {
  const at = text.toLowerCase().indexOf(wanted);
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + wanted.length)}</mark>
      {text.slice(at + wanted.length)}
    </>
  );
}
