import type { TenantId, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { Plugin, PluginManifest, PluginState, PluginTrigger } from './types.ts';

const columns = `p.tenant_id, p.name, p.version, p.digest, p.manifest, p.place, p.user_id, p.state, p.added_at, p.added_by, p.next_run_at,
  p.failures, p.last_run_at, p.last_trigger, p.last_outcome, p.last_reason`;

interface PluginRow {
  readonly tenant_id: TenantId;
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly manifest: PluginManifest;
  readonly place: number;
  readonly user_id: UserId;
  readonly state: PluginState;
  readonly added_at: Date;
  readonly added_by: string;
  readonly next_run_at: Date | null;
  readonly failures: number;
  readonly last_run_at: Date | null;
  readonly last_trigger: PluginTrigger | null;
  readonly last_outcome: 'running' | 'succeeded' | 'failed' | null;
  readonly last_reason: string | null;
}

function toPlugin(row: PluginRow): Plugin {
  const { capabilities } = row.manifest;
  return {
    tenantId: row.tenant_id,
    name: row.name,
    version: row.version,
    digest: row.digest,
    // What JSON leaves out: undefined is a value of the type.
    manifest: {
      ...row.manifest,
      capabilities: { ...capabilities, api: capabilities.api, schedule: capabilities.schedule },
    },
    place: row.place,
    userId: row.user_id,
    state: row.state,
    addedAt: row.added_at,
    addedBy: row.added_by,
    nextRunAt: row.next_run_at ?? undefined,
    failures: row.failures,
    last:
      row.last_run_at === null
        ? undefined
        : {
            at: row.last_run_at,
            trigger: row.last_trigger!,
            outcome: row.last_outcome!,
            reason: row.last_reason ?? undefined,
          },
  };
}

async function select(db: Queryable, condition: string, values: readonly unknown[]): Promise<Plugin[]> {
  const rows = await db.query<PluginRow>(`SELECT ${columns} FROM plugins p ${condition}`, [...values]);
  return rows.map(toPlugin);
}

export function selectPlugins(db: Queryable, tenantId: TenantId): Promise<Plugin[]> {
  return select(db, 'WHERE p.tenant_id = $1 ORDER BY p.name', [tenantId]);
}

export async function findPlugin(db: Queryable, tenantId: TenantId, name: string): Promise<Plugin | undefined> {
  return (await select(db, 'WHERE p.tenant_id = $1 AND p.name = $2', [tenantId, name]))[0];
}

/** Of tenants that are open and have the edition: what moved to Standard stops. */
const mayRun = `JOIN tenants t ON t.tenant_id = p.tenant_id AND t.state = 'active' AND t.edition = 'private-cloud'
  WHERE p.state = 'enabled'`;

export function selectDue(db: Queryable, now: Date): Promise<Plugin[]> {
  return select(db, `${mayRun} AND p.next_run_at <= $1 ORDER BY p.next_run_at LIMIT 100`, [now]);
}

export function selectListening(db: Queryable, now: Date): Promise<Plugin[]> {
  return select(
    db,
    `${mayRun} AND p.manifest->'capabilities'->'events' <> '[]' AND (p.retry_at IS NULL OR p.retry_at <= $1)
     ORDER BY p.tenant_id, p.name LIMIT 1000`,
    [now],
  );
}

/** What may go on running, of these tenants. */
export function selectAllowed(
  db: Queryable,
  tenantIds: readonly TenantId[],
): Promise<Pick<Plugin, 'tenantId' | 'name'>[]> {
  return db.query(
    `SELECT p.tenant_id AS "tenantId", p.name FROM plugins p
     JOIN tenants t ON t.tenant_id = p.tenant_id AND t.state = 'active' AND t.edition = 'private-cloud'
     WHERE p.state <> 'disabled' AND p.tenant_id = ANY ($1)`,
    [[...tenantIds]],
  );
}

/** @returns those that were enabled */
export function disableAll(tx: Queryable): Promise<Pick<Plugin, 'tenantId' | 'name'>[]> {
  return tx.query(
    `UPDATE plugins SET state = 'disabled', next_run_at = NULL, retry_at = NULL WHERE state = 'enabled'
     RETURNING tenant_id AS "tenantId", name`,
  );
}

/** Disables plugins of tenants that a restored one took the place of since they were enabled. @returns those */
export function disableReplaced(tx: Queryable): Promise<Pick<Plugin, 'tenantId' | 'name'>[]> {
  return tx.query(
    `UPDATE plugins p SET state = 'disabled', next_run_at = NULL, retry_at = NULL
     WHERE p.state = 'enabled' AND EXISTS (
       SELECT FROM operations o
       WHERE o.result ? 'keptTenantId' AND o.result->>'keptTenantId' = p.tenant_id AND o.state = 'succeeded' AND o.finished_at > p.enabled_at
     ) RETURNING p.tenant_id AS "tenantId", p.name`,
  );
}

export async function insertPackage(tx: Queryable, digest: string, content: Buffer): Promise<void> {
  // The one that is there is locked: nobody finds it unused meanwhile.
  await tx.query(
    'INSERT INTO plugin_packages (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest',
    [digest, content],
  );
}

export async function findPackage(db: Queryable, digest: string): Promise<Buffer | undefined> {
  const [row] = await db.query<{ content: Buffer }>('SELECT content FROM plugin_packages WHERE digest = $1', [digest]);
  return row?.content;
}

export interface NewPlugin extends Pick<Plugin, 'tenantId' | 'digest' | 'manifest' | 'userId' | 'addedAt' | 'addedBy'> {
  readonly nextRunAt: Date | undefined;
  /** The newest event before it was added. */
  readonly eventPosition: string;
}

/** Adds it, or puts another version in place of the one that is there: place, user and handled events stay. Places are few, so another version takes none. */
export async function putPlugin(tx: Queryable, plugin: NewPlugin): Promise<void> {
  const { tenantId, digest, manifest, userId, addedAt, addedBy, nextRunAt, eventPosition } = plugin;
  await tx.query(
    `INSERT INTO plugins (tenant_id, name, version, digest, manifest, user_id, state, added_at, added_by, next_run_at, enabled_at, event_position, place)
     VALUES ($1, $2, $3, $4, $5::jsonb, $6, 'enabled', $7, $8, $9, $7, $10,
       coalesce((SELECT place FROM plugins WHERE tenant_id = $1 AND name = $2), nextval('plugin_places')))
     ON CONFLICT (tenant_id, name) DO UPDATE SET version = excluded.version, digest = excluded.digest, manifest = excluded.manifest,
       state = 'enabled', added_at = excluded.added_at, added_by = excluded.added_by, next_run_at = excluded.next_run_at,
       enabled_at = excluded.enabled_at, retry_at = NULL, failures = 0`,
    [
      tenantId,
      manifest.name,
      manifest.version,
      digest,
      JSON.stringify(manifest),
      userId,
      addedAt,
      addedBy,
      nextRunAt ?? null,
      eventPosition,
    ],
  );
}

export async function deletePlugin(tx: Queryable, tenantId: TenantId, name: string): Promise<boolean> {
  const rows = await tx.query('DELETE FROM plugins WHERE tenant_id = $1 AND name = $2 RETURNING name', [
    tenantId,
    name,
  ]);
  return rows.length > 0;
}

/** Tenants that are no more and whose plugins are still there. */
export async function selectOrphaned(db: Queryable): Promise<TenantId[]> {
  const rows = await db.query<{ tenant_id: TenantId }>(
    `SELECT DISTINCT p.tenant_id FROM plugins p JOIN tenants t ON t.tenant_id = p.tenant_id AND t.state = 'deleted'`,
  );
  return rows.map((row) => row.tenant_id);
}

export async function deletePluginsOf(tx: Queryable, tenantId: TenantId): Promise<void> {
  await tx.query('DELETE FROM plugins WHERE tenant_id = $1', [tenantId]);
}

/** Of tenants of the edition: those of others run in no case. */
export function selectFailed(db: Queryable): Promise<Plugin[]> {
  return select(
    db,
    `JOIN tenants t ON t.tenant_id = p.tenant_id AND t.state = 'active' AND t.edition = 'private-cloud'
     WHERE p.state = 'failed' ORDER BY p.tenant_id, p.name LIMIT 20`,
    [],
  );
}

/** @returns contents that no plugin has any more */
export async function deleteUnusedPackages(tx: Queryable): Promise<string[]> {
  const rows = await tx.query<{ digest: string }>(
    'DELETE FROM plugin_packages k WHERE NOT EXISTS (SELECT FROM plugins p WHERE p.digest = k.digest) RETURNING digest',
  );
  return rows.map((row) => row.digest);
}

export async function setState(
  tx: Queryable,
  { tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>,
  state: PluginState,
  { nextRunAt, at }: { readonly nextRunAt: Date | undefined; readonly at: Date },
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE plugins SET state = $3, next_run_at = $4, retry_at = NULL,
       failures = CASE WHEN $3 = 'enabled' THEN 0 ELSE failures END, enabled_at = CASE WHEN $3 = 'enabled' THEN $5 ELSE enabled_at END
     WHERE tenant_id = $1 AND name = $2 AND state <> $3 RETURNING name`,
    [tenantId, name, state, nextRunAt ?? null, at],
  );
  return rows.length > 0;
}

/** A run begins: of a schedule the next one is set at once, so that a process that dies meanwhile does not run it twice. */
export async function beginRun(
  db: Queryable,
  { tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>,
  trigger: PluginTrigger,
  at: Date,
  nextRunAt: Date | undefined,
): Promise<void> {
  await db.query(
    `UPDATE plugins SET last_run_at = $3, last_trigger = $4, last_outcome = 'running', last_reason = NULL,
       next_run_at = CASE WHEN $4 = 'schedule' THEN $5 ELSE next_run_at END
     WHERE tenant_id = $1 AND name = $2`,
    [tenantId, name, at, trigger, nextRunAt ?? null],
  );
}

/** @returns failures in a row; undefined: it is gone */
export async function endRun(
  db: Queryable,
  { tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>,
  reason: string | undefined,
  retryAt: Date | undefined,
): Promise<number | undefined> {
  const [row] = await db.query<{ failures: number }>(
    `UPDATE plugins SET last_outcome = CASE WHEN $3::text IS NULL THEN 'succeeded' ELSE 'failed' END, last_reason = $3,
       failures = CASE WHEN $3::text IS NULL THEN 0 ELSE failures + 1 END, retry_at = $4
     WHERE tenant_id = $1 AND name = $2 RETURNING failures`,
    [tenantId, name, reason ?? null, retryAt ?? null],
  );
  return row?.failures;
}

/** What a process that died had begun. */
export async function endInterrupted(db: Queryable): Promise<void> {
  await db.query(
    `UPDATE plugins SET last_outcome = 'failed', last_reason = 'Freehold ended meanwhile' WHERE last_outcome = 'running'`,
  );
}

/** A run that was begun and came to no end, through no fault of the plugin: its schedule is due again. */
export async function giveBack(
  db: Queryable,
  { tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>,
  reason: string,
  retryAt: Date,
): Promise<void> {
  await db.query(
    `UPDATE plugins SET last_outcome = 'failed', last_reason = $3, retry_at = $4,
       next_run_at = CASE WHEN last_trigger = 'schedule' AND state = 'enabled' THEN $4 ELSE next_run_at END
     WHERE tenant_id = $1 AND name = $2 AND last_outcome = 'running'`,
    [tenantId, name, reason, retryAt],
  );
}

export interface EventCursor {
  /** Everything up to it was handled. */
  readonly position: string;
  /** Handled as well, beyond it. */
  readonly beyond: readonly string[];
}

export async function findCursor(db: Queryable, tenantId: TenantId, name: string): Promise<EventCursor | undefined> {
  const [row] = await db.query<EventCursor>(
    'SELECT event_position::text AS position, event_positions::text[] AS beyond FROM plugins WHERE tenant_id = $1 AND name = $2',
    [tenantId, name],
  );
  return row;
}

export async function setCursor(
  db: Queryable,
  { tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>,
  { position, beyond }: EventCursor,
): Promise<void> {
  await db.query('UPDATE plugins SET event_position = $3, event_positions = $4 WHERE tenant_id = $1 AND name = $2', [
    tenantId,
    name,
    position,
    [...beyond],
  ]);
}
