import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, FreeholdError, failpoint, type Log, type Lsn, waitFor } from '#src/kernel/index.ts';
import { clusterErrors } from '../errors.ts';
import { stopOrphans } from '../orphans.ts';
import type { Cluster } from '../server.ts';
import { fence, isFenced, unfence } from './fence.ts';
import { findEndOfWal, handOverWal } from './old-wal.ts';
import {
  countWaitingDatabases,
  measureStandbyLag,
  readFollowerPosition,
  waitUntilReplayed,
  withConnection,
} from './position.ts';
import { promoteServer } from './promote.ts';
import { type ClusterRoles, type FailoverReport, type MemberName, otherMember } from './roles.ts';
import type { ShippedWal } from './shipped-wal.ts';
import { ensureStandbySlot } from './slot.ts';
import { pointSocketLink, removeSocketLink } from './socket-link.ts';
import { runAsSuperuser } from './superuser.ts';
import { takeShipped } from './take-shipped.ts';

export interface FailoverContext {
  readonly members: Readonly<Record<MemberName, Cluster>>;
  readonly roles: () => ClusterRoles;
  /** On disk when it resolves. */
  readonly record: (roles: ClusterRoles) => Promise<void>;
  /** Path of the link to the primary's socket. */
  readonly socketLink: string;
  readonly handoverDir: string;
  /**
   * undefined: nothing is shipped, so no commit waits for regions either. `isAlone`: there is no other source, so whatever is received must be found there when it resolves.
   * Rejects when nobody can be asked.
   */
  readonly openShippedWal?: (options: { readonly isAlone: boolean }) => Promise<ShippedWal>;
  readonly controlPassword: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Says what is being done, for a person who watches. */
  readonly say: (text: string) => void;
}

/** A standby that is further behind is first given time, while the primary still serves. */
const closeEnoughBytes = 4 * 1024 * 1024;
const catchUpDeadlineMs = 60_000;
const replayDeadlineMs = 300_000;

export interface FailoverOptions {
  /** Goes on also when commits that waited for every region would be missing. Default: false. */
  readonly acceptLoss?: boolean;
}

/**
 * Makes the standby the primary: the old primary is stopped and marked first, so that there are never two; then the standby replays
 * all that the old one had written, sent or not, or where that cannot be read, all that was shipped; and is promoted. A planned failover that would lose
 * anything is taken back, and so is one that would lose what a tenant with recovery point zero was promised (FH_FAILOVER_WOULD_LOSE).
 * Every step is recorded before it is done: whoever comes after a kill -9 goes on with `resumeFailover`.
 */
export async function failOver(
  context: FailoverContext,
  { acceptLoss = false }: FailoverOptions = {},
): Promise<FailoverReport> {
  const { members, roles, record, clock, controlPassword } = context;
  const from = roles().primary;
  const to = otherMember(from);
  const follower = await readFollowerPosition(members[to].controlTarget(controlPassword)).catch(() => undefined);
  if (!follower?.inRecovery) throw clusterErrors.FH_FAILOVER_NO_STANDBY();
  const planned = await isAnswering(members[from], controlPassword);
  if (planned) await waitUntilClose(context, members[from]);
  const startedAt = new Date(clock.now()).toISOString();
  await record({
    ...roles(),
    failover: { to, planned, phase: 'fencing', startedAt, ...(acceptLoss && { acceptLoss }) },
  });
  await failpoint('clusters.failover.recorded');
  try {
    await takeOverWal(context);
  } catch (error) {
    await undo(context);
    if (error instanceof FreeholdError && error.code === 'FH_FAILOVER_WOULD_LOSE') throw error;
    throw clusterErrors.FH_FAILOVER_UNDONE({
      detail: error instanceof Error ? error.message : undefined,
      cause: error,
    });
  }
  return finish(context);
}

/** At the start, when no server of ours runs: a failover that a crash interrupted is finished or undone. */
export async function resumeFailover(context: FailoverContext): Promise<void> {
  const { failover } = context.roles();
  if (!failover) return;
  const { phase, planned, to } = failover;
  context.log.warn('a failover was interrupted', { phase, planned, to });
  if (phase === 'fencing') {
    // Nothing was promoted. The old primary may hold commits that nobody else has, unless it was the one that failed.
    if (planned) return undo(context, { start: false });
    await startMember(context, to);
    await takeOverWal(context);
  }
  await finish(context);
}

/** From a serving primary to one that is stopped and marked, and a standby that has everything. */
async function takeOverWal(context: FailoverContext): Promise<void> {
  const { members, roles, record, socketLink, log, say } = context;
  const { planned, to } = roles().failover!;
  const old = members[otherMember(to)];
  const readPosition = () => readFollowerPosition(members[to].controlTarget(context.controlPassword));
  say(planned ? 'stopping the old primary' : 'ending the old primary, which does not answer');
  await removeSocketLink(socketLink);
  // One that does not answer cannot take over.
  await readPosition();
  // A fast shutdown sends the standby everything first. One that hangs is ended the hard way, by the id of each process.
  await old.stop({ smartMs: 0, fastMs: planned ? 20_000 : 3_000, immediateMs: 5_000 });
  let end: Lsn | undefined;
  if (await isThere(old)) {
    // Nobody is served meanwhile.
    await stopOrphans({ ...old.options, longestStopMs: 60_000, log });
    await failpoint('clusters.failover.stopped');
    await fence(old.options.dataDir, old.options.osUser).catch((error) => {
      if (planned) throw error;
      // A disk that fails takes no mark; the roles say who the primary is, and only we start servers.
      log.warn('the old primary could not be marked', { error });
    });
    await failpoint('clusters.failover.fenced');
    end = await takeWritten(context, old);
  }
  // A disk may also have lost what it was given: regions are asked whenever the old primary itself could not be.
  const shipped = planned ? undefined : await takeShipped(context, { isAlone: end === undefined });
  const { replayed } = await readPosition();
  const lostBytes = end === undefined ? undefined : Math.max(0, Number(end - replayed));
  if (planned && lostBytes !== 0)
    throw new Error(`the standby has not replayed ${lostBytes ?? 'an unknown number of'} bytes of the primary`);
  if (end === undefined && shipped && !shipped.isComplete) await refuseLoss(context, shipped.problem);
  await record({ ...roles(), failover: { ...roles().failover!, phase: 'promoting', lostBytes, shipped } });
  await failpoint('clusters.failover.caught_up');
}

/** Lets the standby replay what the old primary has in its folder. @returns the end of that; undefined: it cannot be read */
async function takeWritten(context: FailoverContext, old: Cluster): Promise<Lsn | undefined> {
  const { members, roles, handoverDir, controlPassword, log, say } = context;
  const { planned, to } = roles().failover!;
  const standby = members[to].controlTarget(controlPassword);
  const position = await readFollowerPosition(standby);
  const end = await findEndOfWal(old.options, position.replayed);
  if (end === undefined || end <= position.replayed) return end;
  // What was sent is replayed in a moment.
  const { replayed } = await waitUntilReplayed(standby, end, 2_000);
  if (end <= replayed) return end;
  say('waiting for the standby to replay what is left');
  const handOver = { from: replayed, to: end, folder: handoverDir, owner: members[to].options.osUser };
  try {
    await handOverWal(old.options, handOver);
  } catch (error) {
    if (planned) throw error;
    log.warn('the log of the old primary cannot be read', { error });
    return undefined;
  }
  await failpoint('clusters.failover.handed_over');
  await waitUntilReplayed(standby, end, replayDeadlineMs);
  return end;
}

/** Tenants that were promised that nothing is lost are lost nothing of, unless a person says so. */
async function refuseLoss({ members, roles, controlPassword }: FailoverContext, problem: string | undefined) {
  const { to, acceptLoss } = roles().failover!;
  if (acceptLoss) return;
  const count = await withConnection(members[to].controlTarget(controlPassword), countWaitingDatabases);
  if (count > 0)
    throw clusterErrors.FH_FAILOVER_WOULD_LOSE({
      detail: `${count} ${count === 1 ? 'tenant has' : 'tenants have'} recovery point zero; ${problem ?? 'nothing that was shipped can be had'}`,
    });
}

/** Only forward from here: promotes, and leads everybody to the new primary. */
async function finish(context: FailoverContext): Promise<FailoverReport> {
  const { members, roles, record, socketLink, handoverDir, clock, say } = context;
  const { to, planned, startedAt, lostBytes, shipped } = roles().failover!;
  const server = members[to];
  say('promoting the standby');
  await startMember(context, to);
  const { inRecovery } = await readFollowerPosition(server.controlTarget(context.controlPassword));
  if (inRecovery) await promoteServer(server.options);
  await failpoint('clusters.failover.promoted');
  // Before anybody writes: what the old primary will need when it follows is kept from the first byte.
  await ensureStandbySlot(server.options);
  await pointSocketLink(socketLink, socketOf(server));
  await failpoint('clusters.failover.linked');
  const finishedAt = clock.now();
  const report: FailoverReport = {
    from: otherMember(to),
    to,
    planned,
    startedAt,
    finishedAt: new Date(finishedAt).toISOString(),
    closedMs: Math.max(0, finishedAt - Date.parse(startedAt)),
    lostBytes,
    ...(shipped && { shipped }),
  };
  await record({ format: 1, primary: to, standbyDiverged: lostBytes !== 0, lastFailover: report });
  await failpoint('clusters.failover.done');
  await rm(handoverDir, { recursive: true, force: true });
  return report;
}

async function undo(
  { members, roles, record, socketLink, handoverDir, say }: FailoverContext,
  { start = true } = {},
): Promise<void> {
  const { failover, ...kept } = roles();
  const old = members[otherMember(failover!.to)];
  say('taking the failover back');
  const canStart = await isThere(old);
  if (canStart) await unfence(old.options.dataDir);
  await record(kept);
  await rm(handoverDir, { recursive: true, force: true });
  // A server is not started where there is no folder: it would be an empty one.
  if (!start || !canStart) return;
  if (old.status().state === 'stopped') await old.start();
  await pointSocketLink(socketLink, socketOf(old));
}

/** False also when its disk does not answer, or something else is mounted there. */
function isThere({ options }: Cluster): Promise<boolean> {
  return access(path.join(options.dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

async function startMember({ members }: FailoverContext, name: MemberName): Promise<void> {
  const server = members[name];
  if (server.status().state !== 'stopped') return;
  await server.start({ role: (await isFenced(server.options.dataDir)) ? 'standby' : 'primary' });
}

async function waitUntilClose({ controlPassword, say }: FailoverContext, primary: Cluster): Promise<void> {
  const measure = () => withConnection(primary.controlTarget(controlPassword), measureStandbyLag);
  const lag = await measure();
  if (!lag?.isStreaming) throw clusterErrors.FH_FAILOVER_NO_STANDBY({ detail: 'it is not connected to the primary' });
  if (lag.lagBytes > closeEnoughBytes) {
    say(`waiting for the standby, which is ${lag.lagBytes} bytes behind`);
    await waitFor('the standby to catch up', async () => ((await measure())?.lagBytes ?? 0) <= closeEnoughBytes, {
      deadlineMs: catchUpDeadlineMs,
      everyMs: 500,
    }).catch((cause) => {
      throw clusterErrors.FH_FAILOVER_NO_STANDBY({ detail: 'it is too far behind', cause });
    });
  }
  // The shutdown writes all that is dirty, and nobody is served meanwhile: so most of it is written before.
  say('writing a checkpoint');
  await runAsSuperuser(primary.options, 'CHECKPOINT');
}

export function socketOf({ options: { socketDir, port } }: Cluster): string {
  return path.join(socketDir, `.s.PGSQL.${port}`);
}

/** A primary that takes no statement within three seconds is as good as gone. */
export function isAnswering(server: Cluster, controlPassword: string): Promise<boolean> {
  return withConnection(server.controlTarget(controlPassword), (db) => db.query('SELECT 1 AS one')).then(
    () => true,
    () => false,
  );
}
