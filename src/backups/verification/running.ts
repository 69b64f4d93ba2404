import type { Log, TenantId } from '#src/kernel/index.ts';
import type { Connection } from '#src/postgres/index.ts';
import { toFinding } from './check.ts';
import { verificationErrors } from './errors.ts';
import type { Finding, LedgerSource, LedgerTenant, RowLedger, RowReader, TableContent } from './types.ts';

/** The running installation right after the simulated loss of a drill. */
export interface Running {
  readonly open: ReadonlySet<TenantId>;
  /** Of the ledger's tenants that are open and could be read. */
  readonly tables: ReadonlyMap<TenantId, readonly TableContent[]>;
}

export interface RunningOptions {
  readonly ledger: RowLedger;
  /** Of the ledger's sample. */
  readonly sources: readonly LedgerSource[];
  /** Who is open on the running installation. */
  listOpen(): Promise<ReadonlySet<TenantId>>;
  readonly rows: RowReader;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * Between the ledger and the loss lie some tenths of a second, in which tenants may have written. A table that differs from the ledger right after the loss
 * was written around it; only such a one may differ in what is rebuilt. Read now and not later: then everything would have been written by somebody.
 */
export async function readRunning({ ledger, sources, listOpen, rows, log, signal }: RunningOptions): Promise<Running> {
  const open = await listOpen();
  const tables = new Map<TenantId, readonly TableContent[]>();
  for (const { tenantId, open: openSource } of sources) {
    signal?.throwIfAborted();
    if (!open.has(tenantId) || !ledger.tenants.some((tenant) => tenant.tenantId === tenantId)) continue;
    let connection: Connection | undefined;
    try {
      connection = await openSource();
      await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      tables.set(tenantId, (await rows.contentOf(connection)).tables);
    } catch (error) {
      log.warn('a tenant could not be read once more after the simulated loss', { tenantId, error });
    } finally {
      await connection?.close();
    }
  }
  return { open, tables };
}

/** Tables of the ledger that nobody wrote until the loss; all of them when the tenant could not be read again: nothing excuses a difference then. */
export function findUnchanged({ tables }: LedgerTenant, now: readonly TableContent[] = tables): TableContent[] {
  return tables.filter(({ name, rows, sha256 }) =>
    now.some((each) => each.name === name && each.rows === rows && each.sha256 === sha256),
  );
}

/** Whoever was open before the ledger and is after the loss, was at the loss. */
export function findMissing(
  expected: readonly { readonly tenantId: TenantId; readonly name: string }[],
  { open }: Pick<Running, 'open'>,
  rebuilt: readonly { readonly tenantId: TenantId }[],
): Finding[] {
  const there = new Set(rebuilt.map(({ tenantId }) => tenantId));
  return expected
    .filter(({ tenantId }) => open.has(tenantId) && !there.has(tenantId))
    .map(({ tenantId, name }) => {
      const finding = toFinding(verificationErrors.FH_VERIFY_TENANT_MISSING({ detail: `${name}, ${tenantId}` }));
      return { ...finding, tenantId, tenantName: name };
    });
}
