import type { OperationId, TenantId } from '#src/kernel/index.ts';
import { lazily, type Queryable } from '#src/postgres/index.ts';
import { tenantErrors } from './errors.ts';
import type { Operation, OperationKind, OperationState, OperationStep } from './types.ts';

/** Facts that steps keep for later steps and for the undo; never a secret. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/** An operation as the runner sees it. */
export interface OperationRecord extends Operation {
  readonly input: Readonly<Record<string, unknown>>;
  readonly memo: Facts;
  readonly undoing: boolean;
}

interface OperationRow {
  operation_id: OperationId;
  tenant_id: TenantId;
  tenant_name: string;
  source_tenant_id: TenantId | null;
  kind: OperationKind;
  state: OperationState;
  undoing: boolean;
  input: Record<string, unknown>;
  memo: Facts;
  result: Record<string, string | number>;
  has_secret: boolean;
  requested_by: string;
  started_at: Date;
  finished_at: Date | null;
  error_code: string | null;
  error_text: string | null;
  steps: { name: string; state: OperationStep['state']; startedAt: string | null; finishedAt: string | null }[];
}

const operationColumns = `o.operation_id, o.tenant_id, o.tenant_name, o.source_tenant_id, o.kind, o.state, o.undoing, o.input, o.memo,
  o.result, o.sealed_result IS NOT NULL AS has_secret, o.requested_by, o.started_at, o.finished_at, o.error_code, o.error_text,
  (SELECT json_agg(json_build_object('name', s.name, 'state', s.state, 'startedAt', s.started_at, 'finishedAt', s.finished_at)
                   ORDER BY s.position)
   FROM operation_steps s WHERE s.operation_id = o.operation_id) AS steps`;

function toRecord(row: OperationRow): OperationRecord {
  return {
    operationId: row.operation_id,
    tenantId: row.tenant_id,
    tenantName: row.tenant_name,
    sourceTenantId: row.source_tenant_id ?? undefined,
    kind: row.kind,
    state: row.state,
    undoing: row.undoing,
    input: row.input,
    memo: row.memo,
    result: row.result,
    hasSecretResult: row.has_secret,
    requestedBy: row.requested_by,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    error: row.error_code === null ? undefined : { code: row.error_code, text: row.error_text ?? '' },
    steps: (row.steps ?? []).map((step) => ({
      name: step.name,
      state: step.state,
      startedAt: step.startedAt === null ? undefined : new Date(step.startedAt),
      finishedAt: step.finishedAt === null ? undefined : new Date(step.finishedAt),
    })),
  };
}

/** What may leave the lifecycle: without input and memo. */
export function toOperation({ input: _input, memo: _memo, ...operation }: OperationRecord): Operation {
  return operation;
}

export interface NewOperation {
  readonly operationId: OperationId;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly sourceTenantId: TenantId | undefined;
  readonly kind: OperationKind;
  readonly input: object;
  readonly steps: readonly string[];
  /** So many of them begin at once. */
  readonly begun: number;
  readonly requestedBy: string;
}

export async function insertOperation(db: Queryable, operation: NewOperation, now: Date): Promise<void> {
  await db.query(
    `WITH inserted AS (
       INSERT INTO operations (operation_id, tenant_id, tenant_name, source_tenant_id, kind, state, input, requested_by, started_at)
       VALUES ($1, $2, $3, $4, $5, 'running', $6, $7, $8) RETURNING operation_id)
     INSERT INTO operation_steps (operation_id, position, name, state, started_at)
     SELECT inserted.operation_id, step.position, step.name, CASE WHEN step.position <= $10 THEN 'running' ELSE 'waiting' END,
            CASE WHEN step.position <= $10 THEN $8::timestamptz END
     FROM inserted, unnest($9::text[]) WITH ORDINALITY AS step (name, position)`,
    [
      operation.operationId,
      operation.tenantId,
      operation.tenantName,
      operation.sourceTenantId ?? null,
      operation.kind,
      JSON.stringify(operation.input),
      operation.requestedBy,
      now,
      operation.steps,
      operation.begun,
    ],
  );
}

/** Takes the tenants for one operation, in one order so that two clones cannot wait for each other; FH_TENANT_BUSY when one is taken. */
export async function lockTenants(
  db: Queryable,
  tenantIds: readonly TenantId[],
  operationId: OperationId,
): Promise<void> {
  const locked = await db.query<{ tenant_id: TenantId }>(
    `INSERT INTO tenant_locks (tenant_id, operation_id)
     SELECT tenant_id, $2 FROM unnest($1::text[]) AS wanted (tenant_id) ORDER BY tenant_id
     ON CONFLICT (tenant_id) DO UPDATE SET operation_id = excluded.operation_id
       WHERE tenant_locks.operation_id = excluded.operation_id
     RETURNING tenant_id`,
    [tenantIds, operationId],
  );
  if (locked.length === tenantIds.length) return;
  const rows = await db.query<{ kind: OperationKind; operation_id: OperationId }>(
    `SELECT o.kind, o.operation_id FROM tenant_locks l JOIN operations o ON o.operation_id = l.operation_id
     WHERE l.tenant_id = ANY($1) AND l.operation_id <> $2 LIMIT 1`,
    [tenantIds, operationId],
  );
  throw tenantErrors.FH_TENANT_BUSY(rows[0] ? { detail: `${rows[0].kind} (${rows[0].operation_id})` } : {});
}

export async function unlockTenants(db: Queryable, operationId: OperationId): Promise<void> {
  await db.query('DELETE FROM tenant_locks WHERE operation_id = $1', [operationId]);
}

export async function findOperation(db: Queryable, operationId: OperationId): Promise<OperationRecord | undefined> {
  const rows = await db.query<OperationRow>(`SELECT ${operationColumns} FROM operations o WHERE o.operation_id = $1`, [
    operationId,
  ]);
  return rows[0] && toRecord(rows[0]);
}

export async function selectRunningOperations(db: Queryable): Promise<OperationId[]> {
  const rows = await db.query<{ operation_id: OperationId }>(
    `SELECT operation_id FROM operations WHERE state = 'running' ORDER BY started_at, operation_id`,
  );
  return rows.map((row) => row.operation_id);
}

/** Failed while they were taken back: what they did is still there, and their tenants are locked. */
export async function selectStuckOperations(db: Queryable): Promise<OperationId[]> {
  const rows = await db.query<{ operation_id: OperationId }>(
    `SELECT o.operation_id FROM operations o JOIN (SELECT DISTINCT operation_id FROM tenant_locks) l ON l.operation_id = o.operation_id
     WHERE o.state = 'failed' AND o.undoing ORDER BY o.started_at, o.operation_id`,
  );
  return rows.map((row) => row.operation_id);
}

export interface OperationQuery {
  readonly tenantId?: TenantId;
  readonly states?: readonly OperationState[];
  /** Default 50, at most 500. */
  readonly limit?: number;
  readonly offset?: number;
}

/** Newest first. */
export async function listOperations(db: Queryable, query: OperationQuery): Promise<Operation[]> {
  const rows = await db.query<OperationRow>(
    `SELECT ${operationColumns} FROM operations o
     WHERE ($1::text IS NULL OR o.tenant_id = $1 OR o.source_tenant_id = $1) AND ($2::text[] IS NULL OR o.state = ANY($2))
     ORDER BY o.started_at DESC, o.operation_id DESC LIMIT $3 OFFSET $4`,
    [query.tenantId ?? null, query.states ?? null, Math.min(query.limit ?? 50, 500), query.offset ?? 0],
  );
  return rows.map((row) => toOperation(toRecord(row)));
}

/** Ends steps and begins the next, in one statement, because both are one fact: how far the operation came. */
export async function markSteps(
  db: Queryable,
  operationId: OperationId,
  marks: readonly { position: number; state: OperationStep['state'] }[],
  now: Date,
  { isLazy = false } = {},
): Promise<void> {
  await db.query(
    `UPDATE operation_steps s
     SET state = mark.state,
         started_at = CASE WHEN mark.state = 'running' THEN $4 ELSE s.started_at END,
         finished_at = CASE WHEN mark.state IN ('running', 'waiting') THEN NULL ELSE $4 END
     FROM unnest($2::smallint[], $3::text[]) AS mark (position, state)
     WHERE s.operation_id = $1 AND s.position = mark.position${isLazy ? ` AND ${lazily}` : ''}`,
    [operationId, marks.map((mark) => mark.position), marks.map((mark) => mark.state), now],
  );
}

export async function mergeFacts(
  db: Queryable,
  operationId: OperationId,
  facts: Facts,
  { isLazy = false } = {},
): Promise<void> {
  await db.query(`UPDATE operations SET memo = memo || $2 WHERE operation_id = $1${isLazy ? ` AND ${lazily}` : ''}`, [
    operationId,
    JSON.stringify(facts),
  ]);
}

export async function mergeResult(
  db: Queryable,
  operationId: OperationId,
  result: Facts,
  { isLazy = false } = {},
): Promise<void> {
  await db.query(
    `UPDATE operations SET result = result || $2 WHERE operation_id = $1${isLazy ? ` AND ${lazily}` : ''}`,
    [operationId, JSON.stringify(result)],
  );
}

export async function storeSecretResult(
  db: Queryable,
  operationId: OperationId,
  sealed: Buffer,
  result: Facts,
): Promise<void> {
  // Nobody is told of it before the operation's last commit, which takes it along.
  await db.query(
    `UPDATE operations SET sealed_result = $2, result = result || $3 WHERE operation_id = $1 AND ${lazily}`,
    [operationId, sealed, JSON.stringify(result)],
  );
}

/** Takes what may be shown once: whoever gets it is the only one, whatever happens at the same time. */
export async function takeSealedResult(db: Queryable, operationId: OperationId): Promise<Buffer | undefined> {
  const rows = await db.query<{ sealed_result: Buffer }>(
    `WITH taken AS (
       SELECT operation_id, sealed_result FROM operations
       WHERE operation_id = $1 AND sealed_result IS NOT NULL FOR UPDATE)
     UPDATE operations SET sealed_result = NULL FROM taken
     WHERE operations.operation_id = taken.operation_id RETURNING taken.sealed_result`,
    [operationId],
  );
  return rows[0]?.sealed_result;
}

export interface OperationEnd {
  readonly state: OperationState;
  readonly undoing?: boolean;
  readonly error?: { readonly code: string; readonly text: string };
}

/**
 * Changes a running operation's state; an error is kept until the operation is tried again. False when it does not run (any more),
 * or is already in that state: whoever asks again after an uncertain commit must not do the rest twice.
 */
export async function updateOperation(
  db: Queryable,
  operationId: OperationId,
  end: OperationEnd,
  now: Date,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE operations SET state = $2, undoing = coalesce($3, undoing), error_code = coalesce($4, error_code),
       error_text = coalesce($5, error_text), finished_at = CASE WHEN $2 = 'running' THEN NULL ELSE $6::timestamptz END
     WHERE operation_id = $1 AND state = 'running' AND ($2 <> 'running' OR undoing IS DISTINCT FROM $3)
     RETURNING operation_id`,
    [operationId, end.state, end.undoing ?? null, end.error?.code ?? null, end.error?.text ?? null, now],
  );
  return rows.length > 0;
}

/** A failed operation goes on: forwards (`retry`) or backwards (`cancel`). False when it is not failed any more. */
export async function reopenOperation(db: Queryable, operationId: OperationId, undoing: boolean): Promise<boolean> {
  const rows = await db.query(
    `UPDATE operations SET state = 'running', undoing = $2, finished_at = NULL,
       error_code = CASE WHEN $2 THEN error_code END, error_text = CASE WHEN $2 THEN error_text END
     WHERE operation_id = $1 AND state = 'failed' RETURNING operation_id`,
    [operationId, undoing],
  );
  return rows.length > 0;
}

export interface DeletionCertificate {
  readonly certificateId: string;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly issuedAt: Date;
  readonly document: Readonly<Record<string, unknown>>;
  readonly publicKeyPem: string;
  /** The certificate of the deletion, when this one says that the key is destroyed as well. */
  readonly completes?: string;
  /** The one that completes this one. */
  readonly completedBy?: string;
}

/** Keeps the certificate; a second one of the same kind for the same tenant is ignored, so that the step may run again. */
export async function insertCertificate(
  db: Queryable,
  certificate: Omit<DeletionCertificate, 'completedBy'>,
): Promise<void> {
  await db.query(
    `INSERT INTO deletion_certificates (certificate_id, tenant_id, tenant_name, issued_at, document, public_key, completes)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [
      certificate.certificateId,
      certificate.tenantId,
      certificate.tenantName,
      certificate.issuedAt,
      JSON.stringify(certificate.document),
      certificate.publicKeyPem,
      certificate.completes ?? null,
    ],
  );
}

export interface LivingCopy {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly madeBy: 'clone' | 'restore';
  readonly madeAt: Date;
}

/** Tenants that were made of this one and are still there, the oldest first. */
export async function selectLivingCopies(db: Queryable, tenantId: TenantId): Promise<LivingCopy[]> {
  return db.query<LivingCopy>(
    `SELECT t.tenant_id AS "tenantId", t.name, o.kind AS "madeBy", o.finished_at AS "madeAt"
     FROM operations o JOIN tenants t ON t.tenant_id = o.tenant_id
     WHERE o.source_tenant_id = $1 AND o.kind IN ('clone', 'restore') AND o.state = 'succeeded' AND t.state <> 'deleted'
     ORDER BY o.finished_at, o.operation_id`,
    [tenantId],
  );
}

/** By its own id, or the last one of a tenant. */
export async function findCertificate(db: Queryable, id: string): Promise<DeletionCertificate | undefined> {
  const rows = await db.query<{
    certificate_id: string;
    tenant_id: TenantId;
    tenant_name: string;
    issued_at: Date;
    document: Record<string, unknown>;
    public_key: string;
    completes: string | null;
    completed_by: string | null;
  }>(
    `SELECT c.certificate_id, c.tenant_id, c.tenant_name, c.issued_at, c.document, c.public_key, c.completes, later.certificate_id AS completed_by
     FROM deletion_certificates c LEFT JOIN deletion_certificates later ON later.completes = c.certificate_id
     WHERE c.certificate_id = $1 OR c.tenant_id = $1 ORDER BY (c.completes IS NULL) LIMIT 1`,
    [id],
  );
  const row = rows[0];
  return (
    row && {
      certificateId: row.certificate_id,
      tenantId: row.tenant_id,
      tenantName: row.tenant_name,
      issuedAt: row.issued_at,
      document: row.document,
      publicKeyPem: row.public_key,
      ...(row.completes !== null && { completes: row.completes }),
      ...(row.completed_by !== null && { completedBy: row.completed_by }),
    }
  );
}
