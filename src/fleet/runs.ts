import { setTimeout as delay } from 'node:timers/promises';
import { recordAudit } from '#src/audit/index.ts';
import { digestMigrations, isPassing, readMigrations } from '#src/databases/index.ts';
import { failpoint, jitter, newId, randomName, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import { fleetErrors } from './errors.ts';
import {
  type Claim,
  claimNext,
  countOpen,
  endRun,
  enlist,
  findLatestRun,
  findRun,
  forgetOldRuns,
  hasLock,
  holdRunning,
  insertRun,
  releaseClaims,
  type Settlement,
  type SubjectQuery,
  selectHoused,
  selectSubjects,
  selectUnmended,
  settle,
  skipStuck,
  widenRun,
} from './sql.ts';
import { type FleetDeps, type FleetRun, type FleetSubject, type HaltRule, others, type RunId } from './types.ts';

export interface StartOptions extends Partial<HaltRule> {
  /** `staff:stf_…`, `os:operator` or `system`. */
  readonly requestedBy: string;
  /** Only this tenant, also when it failed before. */
  readonly tenantId?: TenantId | undefined;
}

export interface FleetRuns {
  /** Goes on with what a kill interrupted, or begins when tenants are behind that did not fail at this target before. */
  resume(): Promise<FleetRun | undefined>;
  /** Begins a run over all that are behind, or adds to the one that runs. undefined: nobody is behind. */
  start(options: StartOptions): Promise<FleetRun | undefined>;
  latest(): Promise<FleetRun | undefined>;
  subjects(runId: RunId, query?: SubjectQuery): Promise<FleetSubject[]>;
  /** What waits for a person: the last run over everybody, if it was halted, and the names of those that failed. */
  troubles(): Promise<{ readonly halted: FleetRun | undefined; readonly failed: readonly string[] }>;
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>;
  /** Lets those that are under way finish; the next start goes on. */
  stop(): Promise<void>;
}

interface Behind {
  readonly tenantId: TenantId;
  readonly from: string | undefined;
  readonly to: string;
}

/** While others have what is left. */
const pauseMs = 100;
const longestPauseMs = 60_000;

/**
 * Brings the fleet forward. The ledger says who is to be done and who has whom; what was done is known by each database itself, so a kill
 * at any moment costs one look. Only the leader calls this; if two ever overlap, a lock per database keeps them apart.
 */
export function createFleetRuns(deps: FleetDeps): FleetRuns {
  const { db, databases, folders, clock, log, concurrency = 4, lockTimeoutMs = 1_000 } = deps;
  const { attempts = 12, firstPauseMs = 500 } = deps;
  const claimedBy = randomName(12);
  const stopping = new AbortController();
  const { signal } = stopping;
  let running: Promise<void> | undefined;
  let targets: Promise<Record<string, string>> | undefined;
  const now = () => new Date(clock.now());

  /** Files do not change while the program runs. */
  function readTarget(): Promise<Record<string, string>> {
    targets ??= Promise.all(
      [...folders].map(async ([app, { platform, app: own }]) => {
        const files = {
          freehold: await readMigrations(platform),
          app: own === undefined ? own : await readMigrations(own),
        };
        return [app, digestMigrations(files)] as const;
      }),
    ).then((entries) => Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1))));
    return targets;
  }

  /** One look at a catalogue of the whole server, however many tenants there are. */
  async function findBehind(tenantId?: TenantId): Promise<Behind[]> {
    const [target, housed, listed] = await Promise.all([readTarget(), selectHoused(db), databases.listDatabases()]);
    const versions = new Map(listed.map(({ name, state, version }) => [name, state === 'ready' ? version : undefined]));
    return housed.flatMap((tenant) => {
      const [from, to] = [versions.get(tenant.databaseName), target[tenant.app] ?? target[others]];
      // Without a version it is being made, by somebody who makes it at the newest.
      if (!from || !to || from === to || (tenantId && tenantId !== tenant.tenantId)) return [];
      return [{ tenantId: tenant.tenantId, from, to }];
    });
  }

  async function start(options: StartOptions): Promise<FleetRun | undefined> {
    const { requestedBy, tenantId, maxFailedPercent = 10, minFailed = 5 } = options;
    const [target, latest] = [await readTarget(), await findLatestRun(db)];
    if (tenantId && (await hasLock(db, tenantId))) throw fleetErrors.FH_FLEET_TENANT_BUSY();
    const behind = await findBehind(tenantId);
    if (latest?.state === 'running' && isSame(latest.target, target)) {
      const isTaken = await db.transaction(async (tx) => {
        if (!(await holdRunning(tx, latest.runId))) return false;
        if (!tenantId) await widenRun(tx, latest.runId);
        await enlist(tx, latest.runId, behind, { again: true });
        return true;
      });
      if (!isTaken) return start(options);
      carryOn(latest.runId);
      return findRun(db, latest.runId);
    }
    if (behind.length === 0 && latest?.state !== 'running') return undefined;
    const runId = newId('run');
    await db.transaction(async (tx) => {
      if (latest?.state === 'running') await endRun(tx, latest.runId, 'superseded', 'another release came', now());
      const isWhole = tenantId === undefined;
      await insertRun(tx, { runId, target, isWhole, requestedBy, maxFailedPercent, minFailed }, now());
      await enlist(tx, runId, behind, { again: false });
      await forgetOldRuns(tx);
      await recordAudit(tx, {
        name: 'fleet.migration_started',
        actor: requestedBy,
        subject: runId,
        details: { tenants: behind.length },
      });
    });
    await failpoint('fleet.run.recorded');
    carryOn(runId);
    return findRun(db, runId);
  }

  function carryOn(runId: RunId): void {
    // Behind one that is just ending, perhaps; a run that is through is left at once.
    const next = (running ?? Promise.resolve())
      .then(() => carryOut(runId))
      .catch((error) => log.error('a migration of the fleet stopped; the next start goes on with it', { error }))
      .finally(() => {
        if (running === next) running = undefined;
      });
    running = next;
  }

  async function carryOut(runId: RunId): Promise<void> {
    const taken = await releaseClaims(db, runId, claimedBy);
    if (taken > 0) log.warn('a migration of the fleet goes on where it was interrupted', { runId, tenants: taken });
    while (!signal.aborted) {
      await Promise.all(Array.from({ length: concurrency }, () => work(runId)));
      const run = await findRun(db, runId);
      if (signal.aborted || run?.state !== 'running') return;
      // Whoever came meanwhile, for example what an operation has made that the last start interrupted.
      if (run.isWhole && (await enlist(db, runId, await findBehind(), { again: false })) > 0) continue;
      if (await finish(runId)) return;
    }
  }

  async function work(runId: RunId): Promise<void> {
    while (!signal.aborted) {
      const claim = await claimNext(db, runId, claimedBy, now());
      if (claim) {
        await failpoint('fleet.tenant.claimed');
        const settlement = await attempt(claim);
        await settle(db, runId, claim.tenantId, claimedBy, settlement, now());
        await failpoint('fleet.tenant.settled');
        if (settlement.state === 'failed') await haltIfBad(runId);
        continue;
      }
      await skipStuck(db, runId, now());
      const open = await countOpen(db, runId);
      // Who runs is another worker's, which comes back here itself.
      if (open.waiting === 0 || (await findRun(db, runId))?.state !== 'running') return;
      await delay(pauseMs * (1 + jitter()), undefined, { signal }).catch(() => {});
    }
  }

  async function attempt({ tenantId, app, databaseName, tenantState, attempts: turn }: Claim): Promise<Settlement> {
    const startedMs = clock.monotonicMs();
    if (!databaseName || ['deleting', 'deleted'].includes(tenantState)) return skipped('it was deleted');
    if (tenantState === 'suspended') return skipped('suspended: brought forward when it is resumed');
    const source = folders.get(app) ?? folders.get(others);
    if (!source) return skipped(`this program has no app ${app}`);
    try {
      await databases.migrateDatabase(databaseName, source, { lockTimeoutMs, attempts: 3 });
      return { state: 'done', durationMs: clock.monotonicMs() - startedMs };
    } catch (error) {
      const { code, message } = toFreeholdError(error);
      const facts = { durationMs: clock.monotonicMs() - startedMs, error: { code, text: message } };
      // An operation that began meanwhile ends sessions, and brings its tenant forward by itself or lets go of it.
      const isOurs = !(isPassing(error) || (await hasLock(db, tenantId)));
      if (isOurs || turn >= attempts) {
        log.error('a tenant could not be migrated', { tenantId, error });
        await recordAudit(db, {
          name: 'tenant.migration_failed',
          actor: 'system',
          subject: tenantId,
          tenantId,
          details: { code, attempts: turn },
        });
        return { state: 'failed', ...facts };
      }
      const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (turn - 1)) * (0.5 + jitter() / 2);
      return { state: 'waiting', ...facts, notBefore: new Date(clock.now() + pause) };
    }
  }

  async function haltIfBad(runId: RunId): Promise<void> {
    const run = await findRun(db, runId);
    if (run?.state !== 'running') return;
    const { done, failed, waiting } = run.counts;
    const tried = done + failed;
    if (failed < run.minFailed || failed * 100 <= run.maxFailedPercent * tried) return;
    const reason = `${failed} of the first ${tried} tenants failed, more than ${run.maxFailedPercent} %; ${waiting} were not tried`;
    await db.transaction(async (tx) => {
      if (!(await endRun(tx, runId, 'halted', reason, now()))) return;
      await recordAudit(tx, {
        name: 'fleet.migration_halted',
        actor: 'system',
        subject: runId,
        details: { failed, tried, waiting },
      });
      log.error('a migration of the fleet was halted', { runId, reason });
    });
  }

  async function finish(runId: RunId): Promise<boolean> {
    return db.transaction(async (tx) => {
      if (!(await endRun(tx, runId, 'done', undefined, now()))) return false;
      const { counts } = (await findRun(tx, runId))!;
      const { done, failed, skipped: passed } = counts;
      await recordAudit(tx, {
        name: 'fleet.migration_finished',
        actor: 'system',
        subject: runId,
        details: { done, failed, skipped: passed },
      });
      log.info('a migration of the fleet ended', { runId, done, failed, skipped: passed });
      return true;
    });
  }

  /** What was halted, and who failed, waits for a person: another start of the same program would only fail again. */
  async function resumeAfter(target: FleetRun['target'], latest: FleetRun | undefined): Promise<FleetRun | undefined> {
    const isMeant = latest !== undefined && isSame(latest.target, target);
    if (isMeant && latest.state === 'halted') return undefined;
    const left = isMeant ? await selectSubjects(db, latest.runId, { states: ['failed', 'skipped'] }) : [];
    const passedOver = new Set(left.map((subject) => subject.tenantId));
    const behind = (await findBehind()).filter(({ tenantId }) => !passedOver.has(tenantId));
    return behind.length > 0 ? start({ requestedBy: 'system' }) : undefined;
  }

  return {
    async resume() {
      const [target, latest] = [await readTarget(), await findLatestRun(db)];
      if (latest?.state !== 'running') return resumeAfter(target, await findLatestRun(db, { whole: true }));
      if (!isSame(latest.target, target)) return start({ requestedBy: 'system' });
      carryOn(latest.runId);
      return latest;
    },
    start,
    latest: () => findLatestRun(db),
    subjects: (runId, query) => selectSubjects(db, runId, query),
    async troubles() {
      const [run, failed] = await Promise.all([findLatestRun(db, { whole: true }), selectUnmended(db)]);
      return { halted: run?.state === 'halted' ? run : undefined, failed };
    },
    async idle() {
      while (running) await running;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

function skipped(text: string): Settlement {
  return { state: 'skipped', error: { code: undefined, text } };
}

function isSame(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => one[key] === other[key]);
}
