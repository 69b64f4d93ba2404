import {
  type AuditFilter,
  type AuditPage,
  type ExportFormat,
  exportHead,
  exportLine,
  recordTenantAudit,
  tenantAuditLog,
} from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { failpoint, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import { selectUserNames } from '../sql.ts';

type NamedPage = AuditPage & { readonly names: ReadonlyMap<string, string> };

export interface SecurityLog {
  /** The tenant's own security log, newest first, with the names of the users it speaks of. */
  listAuditEvents(
    tenantId: TenantId,
    page?: AuditFilter & { readonly before?: string; readonly limit?: number },
  ): Promise<NamedPage>;
  /**
   * All of it that fits, newest first, in pieces of a file. That it was asked for is recorded before the first piece; each piece is read when the one
   * before was taken, so that a log of any length needs no more memory than one page. Throws FH_ROLE_REQUIRED.
   */
  exportAuditEvents(
    tenantId: TenantId,
    actor: Actor,
    filter: AuditFilter,
    format: ExportFormat,
  ): Promise<AsyncIterable<string>>;
}

const pageSize = 200;

export function createSecurityLog(databases: TenantDatabases): SecurityLog {
  const listAuditEvents: SecurityLog['listAuditEvents'] = (tenantId, options) =>
    databases.platform.read(tenantId, async (db) => withNames(db, await tenantAuditLog.list(db, options)));

  async function* pieces(tenantId: TenantId, filter: AuditFilter, format: ExportFormat): AsyncGenerator<string> {
    yield exportHead(format);
    for (let before: string | undefined; ; ) {
      const page = await listAuditEvents(tenantId, { ...filter, before, limit: pageSize });
      yield page.events.map((event) => exportLine(format, { ...event, ...namesOf(event, page.names) })).join('');
      before = page.nextBefore;
      if (before === undefined) return;
    }
  }

  return {
    listAuditEvents,
    async exportAuditEvents(tenantId, actor, filter, format) {
      await databases.platform.transact(tenantId, async (db) => {
        const { userId } = await requireRole(db, actor, administrators);
        const { name, person, from, to } = filter;
        await recordTenantAudit(db, {
          name: 'security_log.exported',
          actor: `user:${userId}`,
          subject: userId,
          address: actor.address,
          details: { format, event: name ?? null, person: person ?? null, from: from ?? null, to: to ?? null },
        });
        await failpoint('identity.security_log.export.before_commit');
      });
      return pieces(tenantId, filter, format);
    },
  };
}

async function withNames(db: Queryable, page: AuditPage): Promise<NamedPage> {
  const ids = page.events.flatMap(({ actor, subject }) => [actor.replace(/^user:/, ''), subject]);
  return { ...page, names: await selectUserNames(db, ids) };
}

export function namesOf(
  { actor, subject }: { readonly actor: string; readonly subject: string },
  names: ReadonlyMap<string, string>,
): { readonly actorName: string | null; readonly subjectName: string | null } {
  return { actorName: names.get(actor.replace(/^user:/, '')) ?? null, subjectName: names.get(subject) ?? null };
}
