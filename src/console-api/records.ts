import type { FastifyInstance } from 'fastify';
import { type AuditEventName, auditEvents } from '#src/audit/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import { type ConsoleApiDeps, idSchema, objectSchema } from './api.ts';

/** What happened: security events, deletion certificates. */
export function recordRoutes(deps: ConsoleApiDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { tenantId?: TenantId; name?: AuditEventName; before?: string; limit?: number } }>(
      '/api/audit',
      {
        config: { operation: 'audit.list' },
        schema: {
          querystring: objectSchema({
            tenantId: idSchema('ten'),
            name: { enum: Object.keys(auditEvents) },
            before: { type: 'string', maxLength: 20 },
            limit: { type: 'integer', minimum: 1, maximum: 200 },
          }),
        },
      },
      (request) => deps.auditLog.list(deps.db, request.query),
    );

    app.get<{ Params: { id: string } }>(
      '/api/certificates/:id',
      {
        config: { operation: 'certificate.get' },
        schema: {
          params: objectSchema({ id: { type: 'string', pattern: '^(crt|ten)_[0-9a-hjkmnp-tv-z]{26}$' } }, ['id']),
        },
      },
      (request) => deps.lifecycle.getCertificate(request.params.id),
    );
  };
}
