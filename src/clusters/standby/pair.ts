import { access } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, type Log, systemClock } from '#src/kernel/index.ts';
import { clusterErrors } from '../errors.ts';
import { type Cluster, type ClusterOptions, createCluster } from '../server.ts';
import { longestShutdownMs } from '../shutdown.ts';
import {
  type FailoverContext,
  type FailoverOptions,
  failOver,
  isAnswering,
  resumeFailover,
  socketOf,
} from './failover.ts';
import { type StandbyKeeper, type StandbyState, startStandbyKeeper } from './keeper.ts';
import {
  type ClusterRoles,
  type FailoverReport,
  type MemberName,
  memberNames,
  otherMember,
  readRoles,
  writeRoles,
} from './roles.ts';
import { dropStandbySlot } from './slot.ts';
import { pointSocketLink } from './socket-link.ts';
import type { Upstream } from './upstream.ts';

/** One data folder and the server on it. */
export type MemberOptions = Pick<ClusterOptions, 'dataDir' | 'socketDir' | 'logFile' | 'osUser' | 'ownerUserName'> & {
  /** libpq password file for `freehold_replication`, of the member's own user. */
  readonly passFile: string;
};

export interface ClusterPairOptions
  extends Pick<ClusterOptions, 'port' | 'maxConnections' | 'memoryBytes' | 'binaries' | 'onWaiting'> {
  readonly members: Readonly<Record<MemberName, MemberOptions>>;
  /** Says which folder is the primary's; in a folder where only we write. */
  readonly rolesFile: string;
  /** Folder where clients find the primary, whoever it is; only we write there. */
  readonly socketDir: string;
  /** For WAL that a failover takes from one folder to the other; made and removed by us. */
  readonly handoverDir: string;
  /** The WAL that was shipped, for a failover whose old primary cannot be read. Default: nothing is shipped. */
  readonly openShippedWal?: FailoverContext['openShippedWal'];
  readonly controlPassword: string;
  readonly replicationPassword: string;
  readonly standby: 'on' | 'off';
  /** `automatic`: a primary that has not answered for 30 seconds is replaced without asking. */
  readonly failover: 'manual' | 'automatic';
  /** True while everything is being stopped: whatever ends now is not started again. */
  readonly isStopping: () => boolean;
  /** Called at each change; what it gets is complete. */
  readonly onChange: (status: PairStatus) => void;
  /** The roles have changed, asked for or not. */
  readonly onFailover?: (report: FailoverReport) => void;
  /** Longest pause before a server that keeps dying is started again. Default 10,000. */
  readonly longestRestartMs?: number;
  /** Default 30,000. */
  readonly automaticAfterMs?: number;
  readonly cannotFollowMs?: number;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Of a failover or a start that a stop waits for; then they are cut off. */
const longestUnfinishedMs = 100_000;

export interface PairStatus {
  readonly primary: MemberName;
  readonly standby: {
    readonly state: StandbyState;
    /** Since when, ISO 8601. */
    readonly since: string;
    /** In words, when it failed. */
    readonly reason?: string;
  };
  readonly isFailingOver: boolean;
  readonly lastFailover?: FailoverReport;
}

/** A primary and its standby, seen as one server that stays where it is. */
export interface ClusterPair {
  /** Finishes or undoes an interrupted failover, starts the primary, makes control's way in, and keeps it running. */
  start(): Promise<void>;
  /** Begins to keep a standby, in the background: nobody waits for its copy. Removes its slot when none is wanted. */
  startStandby(): Promise<void>;
  /** Throws FH_FAILOVER_NO_STANDBY, FH_FAILOVER_RUNNING, FH_FAILOVER_WOULD_LOSE, or FH_FAILOVER_UNDONE: the old primary goes on. */
  failover(say?: (text: string) => void, options?: FailoverOptions): Promise<FailoverReport>;
  /** Waits as long as the primary's last checkpoint gets on, at most half an hour. */
  stop(): Promise<void>;
  /** Immediate shutdown of both, not waited for. */
  endAtOnce(): void;
  status(): PairStatus;
}

export function createClusterPair(options: ClusterPairOptions): ClusterPair {
  const { rolesFile, log, isStopping, controlPassword, replicationPassword, clock = systemClock } = options;
  const { longestRestartMs = 10_000, automaticAfterMs = 30_000 } = options;
  const socketLink = path.join(options.socketDir, `.s.PGSQL.${options.port}`);
  const members: Record<MemberName, Cluster> = { main: createMember('main'), standby: createMember('standby') };
  const stopping = new AbortController();
  const { signal } = stopping;
  let roles: ClusterRoles = { format: 1, primary: 'main' };
  let keeper: StandbyKeeper | undefined;
  let isFailingOver = false;
  let failing: Promise<unknown> = Promise.resolve();
  let restarting: Promise<void> | undefined;
  let watching: Promise<void> | undefined;
  let standby: PairStatus['standby'] = { state: 'off', since: now() };

  function createMember(name: MemberName): Cluster {
    const { passFile, ...own } = options.members[name];
    const { port, maxConnections, memoryBytes, binaries, onWaiting } = options;
    const upstream: Upstream = { socketDir: options.socketDir, port, passFile, handoverDir: options.handoverDir };
    const cluster = createCluster({
      ...own,
      port,
      maxConnections,
      memoryBytes,
      binaries,
      upstream,
      onWaiting,
      log,
      clock,
    });
    cluster.onExit(({ expected }) => {
      if (!expected && name === roles.primary && !isFailingOver) restarting ??= restartPrimary();
    });
    return cluster;
  }

  const isOver = (): boolean => signal.aborted || isStopping();

  function now(): string {
    return new Date(clock.now()).toISOString();
  }

  function status(): PairStatus {
    return { primary: roles.primary, standby, isFailingOver, lastFailover: roles.lastFailover };
  }

  async function record(next: ClusterRoles): Promise<void> {
    await writeRoles(rolesFile, next);
    roles = next;
    options.onChange(status());
  }

  function onStandbyState(state: StandbyState, reason?: string): void {
    if (state === standby.state && reason === standby.reason) return;
    standby = { state, since: now(), ...(reason ? { reason } : {}) };
    log.info('standby', standby);
    options.onChange(status());
  }

  const contextOf = (say: (text: string) => void): FailoverContext => ({
    members,
    roles: () => roles,
    record,
    socketLink,
    handoverDir: options.handoverDir,
    openShippedWal: options.openShippedWal,
    controlPassword,
    log,
    clock,
    say,
  });

  async function start(): Promise<void> {
    roles = await readRoles(rolesFile);
    options.onChange(status());
    await resumeFailover(contextOf(() => {}));
    const primary = members[roles.primary];
    if (primary.status().state === 'stopped') {
      await refuseEmptyPrimary();
      await primary.start();
    }
    await primary.bootstrap({ controlPassword, replicationPassword });
    await pointSocketLink(socketLink, socketOf(primary));
    if (options.failover === 'automatic') watching = watchPrimary();
  }

  /** An empty server in place of one whose folder is missing would look as if all tenants were gone. */
  async function refuseEmptyPrimary(): Promise<void> {
    const exists = (name: MemberName): Promise<boolean> =>
      access(path.join(options.members[name].dataDir, 'PG_VERSION')).then(
        () => true,
        () => false,
      );
    if (!(await exists(roles.primary)) && (await exists(otherMember(roles.primary))))
      throw clusterErrors.FH_CLUSTER_DATA_MISSING({ detail: options.members[roles.primary].dataDir });
  }

  async function startStandby(): Promise<void> {
    if (options.standby === 'off') {
      await dropStandbySlot(members[roles.primary].options).catch((error) =>
        log.warn('the slot of the standby could not be removed', { error }),
      );
      return;
    }
    if (keeper || isOver()) return;
    const name = otherMember(roles.primary);
    keeper = startStandbyKeeper({
      standby: members[name],
      primary: members[roles.primary],
      upstream: members[name].options.upstream!,
      controlPassword,
      isDiverged: () => roles.standbyDiverged === true,
      seeded: async () => {
        if (roles.standbyDiverged) await record({ ...roles, standbyDiverged: false });
      },
      onState: onStandbyState,
      cannotFollowMs: options.cannotFollowMs,
      log,
    });
  }

  async function failover(say: (text: string) => void = () => {}, how: FailoverOptions = {}): Promise<FailoverReport> {
    if (isFailingOver) throw clusterErrors.FH_FAILOVER_RUNNING();
    if (standby.state === 'off' || standby.state === 'seeding')
      throw clusterErrors.FH_FAILOVER_NO_STANDBY({ detail: `the standby is ${standby.state}` });
    isFailingOver = true;
    options.onChange(status());
    const run = (async () => {
      try {
        await keeper?.stop({ stopServer: false });
        keeper = undefined;
        const report = await failOver(contextOf(say), how);
        options.onFailover?.(report);
        return report;
      } finally {
        isFailingOver = false;
        options.onChange(status());
        if (!isOver()) await settle();
      }
    })();
    failing = run.catch(() => {});
    return run;
  }

  /** After a failover, however it went: the primary runs, and the other one follows. */
  async function settle(): Promise<void> {
    if (members[roles.primary].status().state === 'stopped') restarting ??= restartPrimary();
    await startStandby();
  }

  /** One at a time, slower and slower. A failover that was recorded and could not be finished is part of it. */
  async function restartPrimary(): Promise<void> {
    try {
      for (let waitMs = Math.min(200, longestRestartMs); ; waitMs = Math.min(longestRestartMs, waitMs * 2)) {
        await delay(waitMs, undefined, { signal }).catch(() => {});
        if (isOver() || isFailingOver) return;
        try {
          await resumeFailover(contextOf(() => {}));
          const primary = members[roles.primary];
          if (primary.status().state === 'stopped') {
            await refuseEmptyPrimary();
            await primary.start();
          }
          await pointSocketLink(socketLink, socketOf(primary));
          return;
        } catch (error) {
          log.error('PostgreSQL did not come back', { error });
        }
      }
    } finally {
      restarting = undefined;
    }
  }

  /** Only when it was asked for: two failures to answer may also be a machine that is busy. */
  async function watchPrimary(): Promise<void> {
    for (let lastAnswer = performance.now(); !signal.aborted; ) {
      await delay(Math.min(2_000, automaticAfterMs / 4), undefined, { signal }).catch(() => {});
      if (isOver()) return;
      if (isFailingOver || (await isAnswering(members[roles.primary], controlPassword))) lastAnswer = performance.now();
      if (performance.now() - lastAnswer < automaticAfterMs) continue;
      log.error('the primary does not answer; the standby takes over');
      await failover().catch((error) => log.error('the standby could not take over', { error }));
      lastAnswer = performance.now();
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    const isStill = await Promise.race([
      Promise.all([failing, restarting, watching]).then(() => false),
      delay(longestUnfinishedMs, true, { ref: false }),
    ]);
    if (isStill) {
      log.warn('a failover or a start of PostgreSQL is not over; it is cut off, and the next start goes on with it');
      endAtOnce();
      return;
    }
    // The primary first: its shutdown sends the standby everything. Unless that would take long.
    const following = standby.state === 'following';
    if (!following) await keeper?.stop({ stopServer: true });
    await members[roles.primary].stop({ longestFastMs: longestShutdownMs });
    await keeper?.stop({ stopServer: true });
    for (const name of memberNames) await members[name].stop({ smartMs: 0 });
  }

  function endAtOnce(): void {
    stopping.abort();
    for (const name of memberNames) members[name].endAtOnce();
  }

  return { start, startStandby, failover, stop, endAtOnce, status };
}
