import {
  findMomentBefore,
  findMomentBetween,
  findTenantAt,
  findTenantAtLsn,
  findTenantsByName,
  findTenantsMeant,
  type LedgerEntry,
  loadTenantLedger,
  type MomentBefore,
  type TenantLedger,
} from '#src/backups/index.ts';
import { formatLsn, isId, type OperationId, parseLsn, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { parseEvent, parseMoment, type RestoreMoment, tenantErrors, type WantedMoment } from '#src/tenants/index.ts';

interface Found {
  readonly tenantId: TenantId;
  readonly moment: RestoreMoment;
}

/**
 * Finds out which tenant, deleted ones included, and which place in the WAL is meant, from the ledger of tenants. A name means whoever had it then,
 * and whoever has it now; when these are two, whoever asks must say which.
 */
export async function findRestoreSource(
  db: Queryable,
  idOrName: string,
  wanted: WantedMoment,
  nowMs: number,
): Promise<Found> {
  const ledger = await loadTenantLedger(db);
  const known = isId('ten', idOrName)
    ? ledger.some(({ tenantId }) => tenantId === idOrName)
      ? [idOrName as TenantId]
      : []
    : findTenantsByName(ledger, idOrName);
  if (known.length === 0) throw tenantErrors.FH_TENANT_NOT_FOUND({ detail: JSON.stringify(idOrName.slice(0, 80)) });
  const name = isId('ten', idOrName) ? undefined : idOrName;
  if (wanted.kind !== 'before') {
    const moment = parseMoment(wanted, nowMs);
    const meant = name === undefined ? known : findTenantsMeant(ledger, name, (id) => entryAt(ledger, id, moment));
    // Not there then: the planner says from when on it was.
    const [tenantId] = requireOne(ledger, meant.length > 0 ? meant : known);
    return { tenantId, moment };
  }
  const event = parseEvent(wanted.event);
  if (event !== 'delete' && event !== 'rename') return findBeforeOperation(db, ledger, known, event, nowMs);
  const happened = known.flatMap((tenantId) => {
    const before = findMomentBefore(ledger, tenantId, event, name);
    return before && (event === 'rename' || !name || before.tenant.tenantName === name) ? [{ tenantId, before }] : [];
  });
  if (happened.length === 0)
    throw tenantErrors.FH_RESTORE_MOMENT_INVALID({ detail: `${idOrName} was never ${event}d` });
  const [tenantId] = requireOne(
    ledger,
    happened.map((each) => each.tenantId),
    new Map(happened.map((each) => [each.tenantId, `${event}d ${each.before.at.toISOString()}`])),
  );
  const { before } = happened.find((each) => each.tenantId === tenantId)!;
  return { tenantId, moment: { kind: 'before', event, ...placeOf(before) } };
}

function entryAt(ledger: TenantLedger, tenantId: TenantId, moment: RestoreMoment): LedgerEntry | undefined {
  if (moment.kind === 'lsn') return findTenantAtLsn(ledger, tenantId, parseLsn(moment.lsn));
  const time = moment.kind === 'time' ? moment.time : moment.kind === 'before' ? moment.at : moment.after;
  return findTenantAt(ledger, tenantId, new Date(time));
}

/** The tenant that an operation changed, or copied, before it began. */
async function findBeforeOperation(
  db: Queryable,
  ledger: TenantLedger,
  known: readonly TenantId[],
  operationId: OperationId,
  nowMs: number,
): Promise<Found> {
  const [operation] = await db.query<{ tenants: TenantId[]; startedAt: Date; finishedAt: Date | null }>(
    `SELECT array_remove(ARRAY[tenant_id, source_tenant_id, input->>'otherTenantId'], NULL) AS tenants,
            started_at AS "startedAt", finished_at AS "finishedAt"
     FROM operations WHERE operation_id = $1`,
    [operationId],
  );
  if (!operation) throw tenantErrors.FH_OPERATION_NOT_FOUND({ detail: operationId });
  const candidates = [...new Set(operation.tenants)].filter((each) => known.includes(each));
  if (candidates.length === 0)
    throw tenantErrors.FH_RESTORE_MOMENT_INVALID({ detail: `${operationId} was done to another tenant` });
  // An exchange of names is done to two that were both called so: which of them is meant, nobody guesses.
  const [tenantId] = requireOne(ledger, candidates);
  const { startedAt, finishedAt } = operation;
  const before = findMomentBetween(ledger, tenantId, startedAt, finishedAt ?? new Date(nowMs));
  const place = before ? placeOf(before) : { at: startedAt.toISOString() };
  return { tenantId, moment: { kind: 'before', event: operationId, ...place } };
}

function placeOf({ target, at }: MomentBefore): { at: string; lsn?: string; timeline?: number } {
  if (target.kind === 'time') return { at: at.toISOString() };
  const { lsn, timeline } = target;
  return { at: at.toISOString(), lsn: formatLsn(lsn), ...(timeline !== undefined && { timeline }) };
}

function requireOne(
  ledger: TenantLedger,
  candidates: readonly TenantId[],
  facts: ReadonlyMap<TenantId, string> = new Map(),
): readonly [TenantId] {
  const [only, ...others] = candidates;
  if (only && others.length === 0) return [only];
  const lines = candidates.map((tenantId) => {
    const now = ledger.findLast((entry) => entry.tenantId === tenantId)!;
    const fact = facts.get(tenantId) ?? `${now.state} since ${now.at.toISOString()}`;
    return `${tenantId} (now ${now.tenantName}, ${fact})`;
  });
  throw tenantErrors.FH_RESTORE_AMBIGUOUS({ detail: lines.join('; ') });
}
