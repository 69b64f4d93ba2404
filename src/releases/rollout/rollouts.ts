import { setTimeout as delay } from 'node:timers/promises';
import { FreeholdError, failpoint, isId, newId, type TenantId } from '#src/kernel/index.ts';
import { isRetryable, sqlState } from '#src/postgres/index.ts';
import { releaseErrors } from '../errors.ts';
import type { AppRegistry } from '../registry.ts';
import { refusalOf } from './gates.ts';
import { type RehearsalDeps, rehearse } from './rehearsal.ts';
import * as sql from './sql.ts';
import { setNotes } from './standing-sql.ts';
import { createTenantMoves, type TenantMoveDeps } from './tenant-moves.ts';
import {
  openStates,
  type Release,
  type ReleaseId,
  type ReleaseSettings,
  type ReleaseTenant,
  type ReleaseTenantState,
  type Ring,
  rings,
} from './types.ts';

export interface RolloutDeps extends TenantMoveDeps, RehearsalDeps {
  readonly registry: Pick<AppRegistry, 'get'>;
  /** Why this tenant does not run well with the version that it was given; undefined: it does, or nobody can tell. */
  readonly judge: (tenant: ReleaseTenant, release: Release) => Promise<string | undefined>;
  /** Tenants at a time. Default 2. */
  readonly concurrency?: number;
  /** How often a ring that is watched is looked at. Default 1,000. */
  readonly lookEveryMs?: number;
}

/** Versions on their way through the rings. One release of an app at a time. */
export interface Rollouts {
  /** FH_RELEASE_OPEN, FH_APP_NOT_FOUND, FH_APP_VERSION_STATE. */
  start(
    app: string,
    version: string,
    settings: Partial<ReleaseSettings>,
    actor: string,
    /** What tenants read of the version, in place of what it was added with. */
    notes?: string,
  ): Promise<Release>;
  list(app?: string): Promise<Release[]>;
  /** FH_RELEASE_NOT_FOUND */
  latest(app: string): Promise<Release>;
  /** FH_RELEASE_NOT_FOUND. @param ref name of an app: its newest release; or the id of a release. So in what follows. */
  get(ref: string): Promise<Release>;
  tenants(releaseId: ReleaseId, states?: readonly ReleaseTenantState[]): Promise<ReleaseTenant[]>;
  /** The ring has been watched for long enough. FH_RELEASE_STATE. */
  promote(ref: string, actor: string): Promise<Release>;
  /** Who is under way is finished, nobody else begins. */
  pause(ref: string, actor: string): Promise<Release>;
  /** Also one that a gate has halted: a person has looked. */
  resume(ref: string, actor: string): Promise<Release>;
  /** Takes it back from every tenant that it has reached, also when it was through: then only the version. */
  takeBack(ref: string, actor: string): Promise<Release>;
  /** FH_APP_NOT_FOUND when its app does not run as a process. */
  setRing(tenantId: TenantId, ring: Ring, actor: string): Promise<void>;
  /** A request is about to change something at this tenant, perhaps. False: it is on its way back with its content, and nobody may. */
  noteWritten(tenantId: TenantId): Promise<boolean>;
  /** Goes on with what was under way when the process ended. */
  resumeAll(): Promise<void>;
  /** Brings those to their ring's version who were closed, held or made meanwhile. */
  gatherStragglers(signal: AbortSignal): Promise<number>;
  stop(): Promise<void>;
}

export const standardSettings: ReleaseSettings = {
  soakSeconds: 900,
  maxFailedPercent: 10,
  minFailed: 2,
  isManual: false,
  isRehearsed: true,
  mayContract: false,
  onHalt: 'return',
};

/**
 * Drives releases. The ledger says who is to be done and who has whom; each tenant's change is an operation, which is resumed or taken back by itself after a
 * kill, so here it is only found again. Only the leader calls this.
 */
export function createRollouts(deps: RolloutDeps): Rollouts {
  const { db, clock, log, recordAudit, concurrency = 2, lookEveryMs = 1_000 } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = new Map<ReleaseId, Promise<void>>();
  const now = () => new Date(clock.now());
  const moves = createTenantMoves(deps);

  function carryOn(releaseId: ReleaseId): void {
    if (running.has(releaseId) || signal.aborted) return;
    const work = drive(releaseId).finally(() => running.delete(releaseId));
    running.set(releaseId, work);
  }

  async function drive(releaseId: ReleaseId): Promise<void> {
    for (let pauseMs = 500; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 60_000)) {
      try {
        await settleClaimed(releaseId);
        while (!signal.aborted && (await step(releaseId)));
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.error('a release could not go on and is tried again', { releaseId, error });
        await pause(pauseMs);
      }
    }
  }

  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);

  /** One turn. @returns whether there is another one */
  async function step(releaseId: ReleaseId): Promise<boolean> {
    const release = await sql.findRelease(db, releaseId);
    if (release?.state === 'checking') return check(release);
    if (release?.state === 'returning') return returnAll(release);
    if (release?.state !== 'running') return false;
    if (release.soaksSince) return watch(release);
    await sql.enlist(db, release);
    await inParallel(() => workOn(release));
    if (signal.aborted) return false;
    const after = await sql.findRelease(db, releaseId);
    if (after?.state !== 'running') return true;
    if ((after.counts[release.ring].waiting ?? 0) > 0) {
      await pause(lookEveryMs);
      return true;
    }
    // Whoever came meanwhile.
    if ((await sql.enlist(db, release)) > 0) return true;
    const refusal = refusalOf(after, release.ring, true);
    if (refusal) await halt(after, refusal);
    else await sql.setRing(db, releaseId, { ring: release.ring, soaksSince: now() });
    return true;
  }

  /** Nobody has it yet: whoever stops it here has nothing to take back. */
  async function check(release: Release): Promise<boolean> {
    const { releaseId, app, version } = release;
    const refusal = release.settings.isRehearsed ? await rehearse(deps, release) : undefined;
    await failpoint('releases.checked');
    await db.transaction(async (tx) => {
      const to = refusal === undefined ? 'running' : 'returned';
      if (!(await sql.moveRelease(tx, releaseId, ['checking'], to, { reason: refusal, now: now() }))) return;
      if (refusal === undefined) return;
      await recordAudit(tx, {
        name: 'release.halted',
        actor: 'system',
        subject: releaseId,
        details: { app, version, ring: 'none', reason: refusal },
      });
      log.error('a release did not pass its rehearsal', { releaseId, app, version, reason: refusal });
    });
    return refusal === undefined;
  }

  async function inParallel(work: () => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: concurrency }, work));
  }

  async function workOn(release: Release): Promise<void> {
    const { releaseId, ring } = release;
    while (!signal.aborted && (await sql.findRelease(db, releaseId))?.state === 'running') {
      const claim = await sql.claimNext(db, releaseId, { from: 'waiting', state: 'running', ring }, now());
      if (!claim) return;
      await failpoint('releases.tenant.claimed');
      await moves.giveVersion(release, claim);
      await haltIfBad(releaseId, ring);
    }
  }

  async function haltIfBad(releaseId: ReleaseId, ring: Ring): Promise<void> {
    const release = await sql.findRelease(db, releaseId);
    const refusal = release?.state === 'running' && refusalOf(release, ring, false);
    if (refusal) await halt(release, refusal);
  }

  async function halt({ releaseId, app, version, settings, ring }: Release, reason: string): Promise<void> {
    const to = settings.onHalt === 'return' ? 'returning' : 'halted';
    await db.transaction(async (tx) => {
      if (!(await sql.moveRelease(tx, releaseId, ['running'], to, { reason, now: now() }))) return;
      await recordAudit(tx, {
        name: 'release.halted',
        actor: 'system',
        subject: releaseId,
        details: { app, version, ring, reason },
      });
      log.error('a release was halted', { releaseId, app, version, reason });
    });
    await failpoint('releases.halted');
  }

  /** The ring is looked at until its time is over: who does not run well goes back alone, and too many of them stop the release. */
  async function watch(release: Release): Promise<boolean> {
    const { releaseId, ring, settings, soaksSince, isPromoted } = release;
    if ((await sql.enlist(db, release)) > 0) {
      await sql.setRing(db, releaseId, { ring, soaksSince: undefined });
      return true;
    }
    for (const tenant of await sql.selectTenants(db, releaseId, ['done'])) {
      const why = await deps.judge(tenant, release);
      if (why === undefined) continue;
      const claim = await sql.claimOne(db, releaseId, tenant.tenantId);
      if (claim) await moves.returnOne(release, claim, why);
      await haltIfBad(releaseId, tenant.ring);
      if (signal.aborted) return false;
    }
    const current = await sql.findRelease(db, releaseId);
    if (current?.state !== 'running') return true;
    const isOver = clock.now() >= soaksSince!.getTime() + settings.soakSeconds * 1_000;
    // There is nothing to be seen where nobody runs it.
    const isEmpty = (current.counts[ring].done ?? 0) === 0;
    if (isPromoted || isEmpty || (isOver && !settings.isManual)) {
      const refusal = refusalOf(current, ring, true);
      await (refusal ? halt(current, refusal) : advance(current));
      return true;
    }
    await pause(lookEveryMs);
    return !signal.aborted;
  }

  async function advance({ releaseId, app, version, ring }: Release): Promise<void> {
    const next = rings[rings.indexOf(ring) + 1];
    await db.transaction(async (tx) => {
      const isOurs = next
        ? await sql.setRing(tx, releaseId, { ring: next, soaksSince: undefined })
        : await sql.moveRelease(tx, releaseId, ['running'], 'done', { now: now() });
      if (!isOurs) return;
      await sql.setRingVersion(tx, app, ring, version);
      if (!next) await sql.endTrials(tx, releaseId, now());
      const details = { app, version };
      await recordAudit(
        tx,
        next
          ? { name: 'release.ring_done', actor: 'system', subject: releaseId, details: { ...details, ring } }
          : { name: 'release.done', actor: 'system', subject: releaseId, details },
      );
    });
    await failpoint('releases.ring.done');
  }

  async function returnAll(release: Release): Promise<boolean> {
    const { releaseId, app, version } = release;
    await inParallel(async () => {
      while (!signal.aborted) {
        const claim = await sql.claimNext(db, releaseId, { from: 'done', state: 'returning' }, now());
        if (!claim) return;
        await failpoint('releases.return.claimed');
        await moves.returnOne(release, claim);
      }
    });
    if (signal.aborted) return false;
    if ((await sql.selectTenants(db, releaseId, ['done', 'returning'])).length > 0) {
      await pause(lookEveryMs);
      return true;
    }
    await db.transaction(async (tx) => {
      if (!(await sql.moveRelease(tx, releaseId, ['returning'], 'returned', { now: now() }))) return;
      await sql.returnRings(tx, releaseId);
      await recordAudit(tx, {
        name: 'release.returned',
        actor: 'system',
        subject: releaseId,
        details: { app, version },
      });
    });
    return false;
  }

  /** What the process had that ended: the operation was begun, and is found, or was not. */
  async function settleClaimed(releaseId: ReleaseId): Promise<void> {
    const release = await sql.findRelease(db, releaseId);
    if (!release) return;
    for (const { state, ...claim } of await sql.selectClaimed(db, releaseId)) {
      if (signal.aborted) return;
      if (state === 'running') await moves.giveVersion(release, claim);
      // Why a tenant went back alone was known to that process only.
      else await moves.returnOne(release, claim, release.state === 'returning' ? undefined : 'it did not run well');
    }
  }

  async function latest(app: string): Promise<Release> {
    const [release] = await sql.listReleases(db, app);
    if (!release) throw releaseErrors.FH_RELEASE_NOT_FOUND({ detail: app });
    return release;
  }

  async function get(ref: string): Promise<Release> {
    // The name of an app has no underscore.
    if (!isId('rel', ref)) return latest(ref);
    const release = await sql.findRelease(db, ref);
    if (!release) throw releaseErrors.FH_RELEASE_NOT_FOUND({ detail: ref });
    return release;
  }

  async function change(
    ref: string,
    actor: string,
    verb: string,
    act: (release: Release, tx: Parameters<typeof sql.promote>[0]) => Promise<boolean>,
  ): Promise<Release> {
    const release = await get(ref);
    const { releaseId, app, version, state } = release;
    // Whoever looks at an old page must not take tenants from what they were given since.
    if ((await latest(app)).releaseId !== releaseId)
      throw releaseErrors.FH_RELEASE_STATE({ detail: `there is a newer release of ${app}` });
    await db.transaction(async (tx) => {
      if (!(await act(release, tx))) throw releaseErrors.FH_RELEASE_STATE({ detail: `it is ${state}` });
      await recordAudit(tx, { name: 'release.changed', actor, subject: releaseId, details: { app, version, verb } });
    });
    // The one that runs may just be about to end for the state that was.
    void (running.get(releaseId) ?? Promise.resolve()).then(() => carryOn(releaseId));
    carryOn(releaseId);
    return (await sql.findRelease(db, releaseId))!;
  }

  return {
    async start(app, version, settings, actor, notes) {
      if ((await deps.registry.get(app, version)).state !== 'ready')
        throw releaseErrors.FH_APP_VERSION_STATE({ detail: `${app} ${version} is not ready` });
      const releaseId = newId('rel');
      const release = { releaseId, app, version, settings: { ...standardSettings, ...settings }, requestedBy: actor };
      try {
        await db.transaction(async (tx) => {
          await sql.insertRelease(tx, release, now());
          if (notes !== undefined) await setNotes(tx, app, version, notes);
          await recordAudit(tx, { name: 'release.started', actor, subject: releaseId, details: { app, version } });
        });
      } catch (error) {
        if (sqlState(error) === '23505' || isRetryable(error)) throw releaseErrors.FH_RELEASE_OPEN({ cause: error });
        throw error;
      }
      await failpoint('releases.started');
      carryOn(releaseId);
      return (await sql.findRelease(db, releaseId))!;
    },
    list: (app) => sql.listReleases(db, app),
    latest,
    get,
    tenants: (releaseId, states) => sql.selectTenants(db, releaseId, states),
    promote: (ref, actor) => change(ref, actor, 'promote', ({ releaseId }, tx) => sql.promote(tx, releaseId)),
    pause: (ref, actor) =>
      change(ref, actor, 'pause', ({ releaseId }, tx) =>
        sql.moveRelease(tx, releaseId, ['running'], 'paused', { now: now() }),
      ),
    resume: (ref, actor) =>
      change(ref, actor, 'resume', ({ releaseId }, tx) =>
        sql.moveRelease(tx, releaseId, ['paused', 'halted'], 'running', { now: now() }),
      ),
    takeBack: (ref, actor) =>
      change(ref, actor, 'return', ({ releaseId }, tx) =>
        sql.moveRelease(tx, releaseId, [...openStates.filter((state) => state !== 'returning'), 'done'], 'returning', {
          reason: 'somebody asked for it',
          now: now(),
        }),
      ),
    async setRing(tenantId, ring, actor) {
      await db.transaction(async (tx) => {
        if (!(await sql.setTenantRing(tx, tenantId, ring)))
          throw releaseErrors.FH_APP_NOT_FOUND({ detail: 'the app of this tenant runs inside the gateway' });
        await recordAudit(tx, { name: 'release.ring_chosen', actor, subject: tenantId, tenantId, details: { ring } });
      });
    },
    noteWritten: (tenantId) => sql.noteWritten(db, tenantId, now()),
    async resumeAll() {
      for (const { releaseId } of await sql.selectOpen(db)) carryOn(releaseId);
    },
    async gatherStragglers(jobSignal) {
      let count = 0;
      for (const { tenantId, version } of await sql.selectStragglers(db)) {
        if (jobSignal.aborted || signal.aborted) break;
        try {
          const order = { version, onBehalfOf: 'ring' };
          const { operationId } = await deps.lifecycle().startOperation('update', tenantId, order, 'system');
          if ((await deps.lifecycle().waitForOperation(operationId)).state === 'succeeded') count++;
        } catch (error) {
          // Somebody else has it; next time.
          if (!(error instanceof FreeholdError)) throw error;
        }
      }
      return count;
    },
    async stop() {
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}
