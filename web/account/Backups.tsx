import { Group, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import {
  EmptyState,
  ErrorState,
  Fact,
  Facts,
  formatPlural,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  ProblemError,
  RelativeTime,
  SizeText,
  StateBadge,
} from '../design/index.ts';
import { backupsQuery, sessionQuery, type TenantBackups } from './api.ts';
import { DownloadDump } from './DownloadDump.tsx';

/** What an owner can know of the account's backups, and take home. */
export function Backups() {
  const me = useQuery(sessionQuery).data?.user;
  const backups = useQuery({ ...backupsQuery, enabled: me?.role === 'owner' });
  if (!me) return null;
  if (me.role !== 'owner')
    return (
      <>
        <PageTitle title="Backups" />
        <EmptyState title="This page is for owners">
          It tells when the account was last backed up, and gives out its whole database. Ask an owner of the account.
        </EmptyState>
      </>
    );
  const isOff = backups.error instanceof ProblemError && backups.error.problem.status === 404;
  return (
    <>
      <PageTitle title="Backups" subtitle="Copies of this account, and proof that they can be restored." />
      <Stack gap="lg" maw="46rem">
        {backups.isPending && <LoadingState rows={6} />}
        {isOff && (
          <EmptyState title="No backups are made here">
            Backups are turned off in this installation. Ask whoever runs it.
          </EmptyState>
        )}
        {backups.isError && !isOff && <ErrorState error={backups.error} onRetry={() => void backups.refetch()} />}
        {backups.data && (
          <>
            <Protection backups={backups.data} />
            <Location location={backups.data.location} />
            <Dump dump={backups.data.dump} email={me.email} />
          </>
        )}
      </Stack>
    </>
  );
}

function Protection({ backups: { lastBackup, lastVerification, restorable } }: { backups: TenantBackups }) {
  return (
    <Panel
      title="Protection"
      description="Every change is copied to two places within about a second. To go back to an earlier moment, ask whoever runs this service and name the moment."
    >
      <Facts>
        <Fact label="Any second can be restored since">
          {restorable ? <RelativeTime value={restorable.from} /> : 'Not yet: the first backup is still to come'}
        </Fact>
        <Fact label="Last backup">
          {lastBackup ? <RelativeTime value={lastBackup.finishedAt} /> : 'Not yet: within a day'}
        </Fact>
        <Fact label="Last restored to check it">
          {lastVerification ? (
            <Verdict passed={lastVerification.passed} at={lastVerification.finishedAt} />
          ) : (
            'Not yet: within a day'
          )}
        </Fact>
      </Facts>
    </Panel>
  );
}

/** Nothing where nobody says where anything is. */
function Location({ location: { home, copies, residency } }: { location: TenantBackups['location'] }) {
  if (home === null && copies.every((place) => place === null)) return null;
  const promised = residency && [residency.home.join(', '), residency.copies.join(', ')];
  return (
    <Panel
      title="Where your data is"
      description={
        promised
          ? 'This service refuses to be set up in a way that would carry it elsewhere.'
          : 'As it is now. Nothing was agreed for this account: ask whoever runs this service to bind it to places.'
      }
    >
      <Facts>
        <Fact label="Database and files">{home ?? 'Not said'}</Fact>
        <Fact label="Copies">{copies.map((place) => place ?? 'not said').join(', ') || 'None'}</Fact>
        {promised && (
          <Fact label="Agreed">
            {promised[0] === promised[1]
              ? `Everything stays in ${promised[0]}`
              : `Stays in ${promised[0]}, its copies in ${promised[1]}`}
          </Fact>
        )}
      </Facts>
    </Panel>
  );
}

function Dump({ dump, email }: { dump: TenantBackups['dump']; email: string }) {
  if (!dump)
    return (
      <Panel title="Your own copy">
        <EmptyState plain title="There is no copy to download yet">
          One is made every night, and the first within about an hour of the account's beginning. Come back then.
        </EmptyState>
      </Panel>
    );
  return (
    <Panel
      title="Your own copy"
      description="The whole database, made every night, for pg_restore. Uploaded files are not in it."
      action={<DownloadDump dump={dump} email={email} />}
    >
      <Facts>
        <Fact label="Made">
          <RelativeTime value={dump.madeAt} />
        </Fact>
        <Fact label="Verified by restoring it">
          {dump.verification ? (
            <Verdict passed={dump.verification.passed} at={dump.verification.finishedAt} />
          ) : (
            'Not yet: within the hour'
          )}
        </Fact>
        <Fact label="Size">
          <SizeText bytes={dump.sizeBytes} />
        </Fact>
        <Fact label="Kept in">{formatPlural(dump.regions, 'place')}</Fact>
        {dump.unchangedUntil && (
          <Fact label="Nothing changed until">
            <RelativeTime value={dump.unchangedUntil} />
          </Fact>
        )}
      </Facts>
      {dump.unloggedTables.length > 0 && (
        <Notice tone="late" title={`Not in any copy: the rows of ${formatPlural(dump.unloggedTables.length, 'table')}`}>
          The app keeps {dump.unloggedTables.join(', ')} without a log, which is meant for what can be made again. These
          rows are not in this copy, in no backup, and gone after a crash. If they matter to you, tell whoever runs this
          service.
        </Notice>
      )}
    </Panel>
  );
}

function Verdict({ passed, at }: { passed: boolean; at: string }) {
  return (
    <Group gap={4}>
      <StateBadge tone={passed ? 'ok' : 'urgent'}>{passed ? 'Sound' : 'Failed, the operator knows'}</StateBadge>
      <RelativeTime value={at} />
    </Group>
  );
}
