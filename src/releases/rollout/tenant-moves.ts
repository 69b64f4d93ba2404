import type { RecordAudit } from '#src/audit/types.ts';
import { type Clock, FreeholdError, failpoint, type Log, type OperationId, type TenantId } from '#src/kernel/index.ts';
import type { ControlDatabase, TenantLifecycle } from '#src/tenants/index.ts';
import * as sql from './sql.ts';
import type { Release } from './types.ts';

export interface TenantMoveDeps {
  readonly db: ControlDatabase;
  readonly lifecycle: () => Pick<TenantLifecycle, 'startOperation' | 'waitForOperation'>;
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
  readonly log: Log;
}

/** One tenant's way to a version and back, as rows of a release's ledger. What happens to the tenant itself is an operation. */
export interface TenantMoves {
  /** Begins the operation, or finds the one that was begun, and notes how it ended. */
  giveVersion(release: Release, claim: sql.Claimed): Promise<void>;
  /** With its content unless somebody may have written since. @param why it fails alone; undefined: it goes with the release */
  returnOne(release: Release, claim: sql.Claimed, why?: string): Promise<void>;
}

/** An operation of somebody else may take as long as it takes. */
const busyPauseMs = 2_000;
const longestBusyPauseMs = 60_000;
const attemptsWhenBusy = 30;

export function createTenantMoves({ db, lifecycle, recordAudit, clock, log }: TenantMoveDeps): TenantMoves {
  const now = () => new Date(clock.now());

  async function giveVersion(release: Release, claim: sql.Claimed): Promise<void> {
    const { releaseId, version } = release;
    const { tenantId, attempts } = claim;
    try {
      const operationId = await beginUpdate(release, tenantId, { version });
      await failpoint('releases.tenant.begun');
      await settleForward(release, tenantId, operationId);
    } catch (error) {
      if (!(error instanceof FreeholdError)) throw error;
      const facts = { error: { code: error.code, text: error.message } };
      if (error.code === 'FH_TENANT_BUSY' && attempts < attemptsWhenBusy) {
        const pauseMs = Math.min(longestBusyPauseMs, busyPauseMs * 2 ** (attempts - 1));
        await sql.settle(
          db,
          releaseId,
          tenantId,
          { state: 'waiting', notBefore: new Date(clock.now() + pauseMs), ...facts },
          now(),
        );
      } else await sql.settle(db, releaseId, tenantId, { state: 'skipped', ...facts }, now());
    }
  }

  async function beginUpdate(
    release: Release,
    tenantId: TenantId,
    input: { readonly version: string; readonly snapshot?: string },
  ): Promise<OperationId> {
    const { releaseId } = release;
    const begun = await sql.findUpdate(db, releaseId, tenantId, input.version);
    if (begun) return begun;
    const order = { ...input, onBehalfOf: releaseId };
    return (await lifecycle().startOperation('update', tenantId, order, release.requestedBy)).operationId;
  }

  async function settleForward(release: Release, tenantId: TenantId, operationId: OperationId): Promise<void> {
    const { releaseId, app, version } = release;
    const { state, error } = await lifecycle().waitForOperation(operationId);
    // We stop; the operation goes on at the next start, and so do we.
    if (state === 'running') return;
    if (state === 'succeeded') return sql.settle(db, releaseId, tenantId, { state: 'done', operationId }, now());
    const text =
      state === 'undone' ? (error?.text ?? 'it was taken back') : `it could not be taken back: ${operationId}`;
    await fail(release, tenantId, { operationId, error: { code: error?.code, text } });
    log.warn('a tenant could not be given a version', { tenantId, app, version, operationId });
  }

  async function fail(
    { releaseId, app, version }: Release,
    tenantId: TenantId,
    facts: Pick<sql.Settlement, 'operationId' | 'error' | 'isDataBack'>,
  ): Promise<void> {
    await db.transaction(async (tx) => {
      await sql.settle(tx, releaseId, tenantId, { state: 'failed', isDataBack: true, ...facts }, now());
      await recordAudit(tx, {
        name: 'release.tenant_failed',
        actor: 'system',
        subject: tenantId,
        tenantId,
        details: { release: releaseId, app, version, code: facts.error?.code ?? null },
      });
    });
  }

  async function returnOne(release: Release, claim: sql.Claimed, why?: string): Promise<void> {
    const { releaseId } = release;
    const { tenantId, fromVersion, isWritten, attempts } = claim;
    try {
      const snapshot = isWritten ? undefined : await sql.findSnapshotOf(db, tenantId, fromVersion);
      const operationId = await beginUpdate(release, tenantId, { version: fromVersion, ...(snapshot && { snapshot }) });
      await failpoint('releases.return.begun');
      await settleBack(release, tenantId, operationId, why);
    } catch (error) {
      if (!(error instanceof FreeholdError)) throw error;
      // Suspended or deleted meanwhile, or busy for an hour: a person must look.
      const mayWait = error.code === 'FH_TENANT_BUSY' && attempts < attemptsWhenBusy;
      const facts = { code: error.code, text: error.message };
      if (!mayWait)
        return sql.settle(db, releaseId, tenantId, { state: 'failed', isDataBack: false, error: facts }, now());
      const pauseMs = Math.min(longestBusyPauseMs, busyPauseMs * 2 ** (attempts - 1));
      await sql.settle(db, releaseId, tenantId, { state: 'done', notBefore: new Date(clock.now() + pauseMs) }, now());
    }
  }

  async function settleBack(
    release: Release,
    tenantId: TenantId,
    operationId: OperationId,
    why?: string,
  ): Promise<void> {
    const { releaseId } = release;
    const { state, error } = await lifecycle().waitForOperation(operationId);
    if (state === 'running') return;
    const isDataBack = await sql.isWithSnapshot(db, operationId);
    if (state !== 'succeeded') {
      const text = `it could not go back: ${error?.text ?? operationId}`;
      return fail(release, tenantId, { operationId, isDataBack: false, error: { code: error?.code, text } });
    }
    if (why === undefined)
      return sql.settle(db, releaseId, tenantId, { state: 'returned', operationId, isDataBack }, now());
    await fail(release, tenantId, { operationId, isDataBack, error: { code: undefined, text: why } });
  }

  return { giveVersion, returnOne };
}
