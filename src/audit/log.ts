import { type Id, kernelErrors, newId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type AuditTable, insertEvent, selectEvents } from './sql.ts';
import { type AuditEvent, type AuditEventName, type AuditFilter, auditEvents, type RecordAudit } from './types.ts';

export interface RecordedEvent {
  readonly eventId: Id<'aud'>;
  readonly recordedAt: Date;
  readonly name: string;
  /** The catalogue's sentence for `name`. */
  readonly meaning: string;
  readonly actor: string;
  readonly subject: string;
  readonly tenantId: string | undefined;
  readonly address: string | undefined;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AuditPage {
  /** Newest first. */
  readonly events: readonly RecordedEvent[];
  /** Pass as `before` for the next, older page; undefined: there is none. */
  readonly nextBefore: string | undefined;
}

export interface AuditLog {
  readonly record: RecordAudit;
  list(
    db: Queryable,
    options?: AuditFilter & { readonly before?: string | undefined; readonly limit?: number | undefined },
  ): Promise<AuditPage>;
}

/** Longest value of `details`, `actor` and `subject`: an event must not become a place to store things. */
const maxTextLength = 500;
const defaultLimit = 50;
const maxLimit = 200;

export const controlAuditLog = createAuditLog('audit_events');
export const tenantAuditLog = createAuditLog('freehold.audit_events');

function createAuditLog(table: AuditTable): AuditLog {
  return {
    async record(db, event) {
      if (!Object.hasOwn(auditEvents, event.name)) throw new TypeError(`unknown audit event ${event.name}`);
      await insertEvent(db, table, newId('aud'), bounded(event));
    },
    async list(db, { before, limit = defaultLimit, ...filter } = {}) {
      if (before !== undefined && !/^[1-9]\d{0,17}$/.test(before))
        throw kernelErrors.FH_INVALID_REQUEST({ fields: { before: 'Use the value that came with the page before.' } });
      const size = Math.min(Math.max(1, limit), maxLimit);
      // One more than asked for tells whether there is another page.
      const rows = await selectEvents(db, table, { ...filter, before, limit: size + 1 });
      const shown = rows.slice(0, size);
      return {
        events: shown.map((row) => ({
          eventId: row.event_id,
          recordedAt: row.recorded_at,
          name: row.name,
          meaning: auditEvents[row.name as AuditEventName] ?? '',
          actor: row.actor,
          subject: row.subject,
          tenantId: row.tenant_id ?? undefined,
          address: row.address ?? undefined,
          details: row.details,
        })),
        nextBefore: rows.length > size ? String(shown.at(-1)!.position) : undefined,
      };
    },
  };
}

function bounded(event: AuditEvent): AuditEvent {
  const cut = (text: string) => printable(text).slice(0, maxTextLength);
  const details = Object.entries(event.details ?? {}).map(([key, value]) => [
    key,
    typeof value === 'string' ? cut(value) : value,
  ]);
  return { ...event, actor: cut(event.actor), subject: cut(event.subject), details: Object.fromEntries(details) };
}

/** PostgreSQL text holds no NUL, and a log line no control characters; half of a surrogate pair is not text. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ').toWellFormed();
}
