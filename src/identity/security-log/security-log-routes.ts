import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { AuditEventName, AuditFilter, ExportFormat } from '#src/audit/types.ts';
import type { Identity } from '../identity.ts';
import { actorOf, administrators, scope } from '../request-scope.ts';
import { answers, queries } from '../schemas.ts';
import { namesOf } from './security-log.ts';

interface FilterQuery {
  readonly event?: AuditEventName;
  readonly person?: string;
  readonly from?: string;
  readonly to?: string;
}

const filterOf = ({ event: name, person, from, to }: FilterQuery): AuditFilter => ({ name, person, from, to });
const mediaTypes: Record<ExportFormat, string> = { csv: 'text/csv', jsonl: 'application/jsonl' };

/** Routes of the tenant's security log. Registered by `identityRoutes`, which keeps the door. */
export function addSecurityLogRoutes(app: FastifyInstance, identity: Identity): void {
  app.get<{ Querystring: FilterQuery & { before?: string; limit?: number } }>(
    '/security-log',
    {
      config: administrators('security_log.list'),
      schema: { querystring: queries.securityLog, response: { 200: answers.securityLog } },
    },
    async (request) => {
      const { before, limit } = request.query;
      const options = { ...filterOf(request.query), before, limit };
      const page = await identity.listAuditEvents(scope(request).tenant.tenantId, options);
      const events = page.events.map((event) => ({ ...event, ...namesOf(event, page.names) }));
      return { events, nextBefore: page.nextBefore ?? null };
    },
  );

  app.get<{ Querystring: FilterQuery & { format: ExportFormat } }>(
    '/security-log/export',
    { config: administrators('security_log.export'), schema: { querystring: queries.securityLogExport } },
    async (request, reply) => {
      const { tenant } = scope(request);
      const { format } = request.query;
      const filter = filterOf(request.query);
      const pieces = await identity.exportAuditEvents(tenant.tenantId, actorOf(request), filter, format);
      return reply
        .type(`${mediaTypes[format]}; charset=utf-8`)
        .header('content-disposition', `attachment; filename="security-log-${tenant.name}.${format}"`)
        .send(Readable.from(pieces, { objectMode: false }));
    },
  );
}
