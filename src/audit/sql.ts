import type { Id } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { AuditEvent, AuditFilter } from './types.ts';

/** The two tables have one shape: migrations/control/0003_audit.sql and migrations/tenant/0001_identity.sql. */
export type AuditTable = 'audit_events' | 'freehold.audit_events';

export interface AuditRow {
  readonly position: string;
  readonly event_id: Id<'aud'>;
  readonly recorded_at: Date;
  readonly name: string;
  readonly actor: string;
  readonly subject: string;
  readonly tenant_id: string | null;
  readonly address: string | null;
  readonly details: Record<string, string | number | boolean | null>;
}

export async function insertEvent(db: Queryable, table: AuditTable, eventId: string, event: AuditEvent): Promise<void> {
  await db.query(
    `INSERT INTO ${table} (event_id, name, actor, subject, tenant_id, address, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      eventId,
      event.name,
      event.actor,
      event.subject,
      event.tenantId ?? null,
      event.address ?? null,
      JSON.stringify(event.details ?? {}),
    ],
  );
}

export interface EventFilter extends AuditFilter {
  /** Older than this position. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export function selectEvents(db: Queryable, table: AuditTable, filter: EventFilter): Promise<AuditRow[]> {
  return db.query<AuditRow>(
    `SELECT position, event_id, recorded_at, name, actor, subject, tenant_id, address, details
     FROM ${table}
     WHERE ($1::text IS NULL OR tenant_id = $1)
       AND ($2::text IS NULL OR name = $2)
       AND ($3::bigint IS NULL OR position < $3)
       AND ($5::text IS NULL OR actor = 'user:' || $5 OR subject = $5)
       AND ($6::timestamptz IS NULL OR recorded_at >= $6)
       AND ($7::timestamptz IS NULL OR recorded_at < $7)
       AND ($8::text IS NULL OR subject = $8)
       AND ($9::text IS NULL OR coalesce(details->>'server', 'main') = $9)
     ORDER BY position DESC
     LIMIT $4`,
    [
      filter.tenantId ?? null,
      filter.name ?? null,
      filter.before ?? null,
      filter.limit,
      filter.person ?? null,
      filter.from ?? null,
      filter.to ?? null,
      filter.subject ?? null,
      filter.server ?? null,
    ],
  );
}
