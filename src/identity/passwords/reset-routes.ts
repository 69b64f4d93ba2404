import type { FastifyInstance } from 'fastify';
import type { Identity } from '../identity.ts';
import { callerOf, open, passwordBodyBytes, scope } from '../request-scope.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const body = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

/** Forgotten passwords. The token is in the body, never in a path: paths are written to logs. Registered by `identityRoutes`. */
export function addResetRoutes(app: FastifyInstance, identity: Identity): void {
  app.post<{ Body: { email: string } }>(
    '/password-resets',
    { config: open('password_reset.request'), schema: { body: body({ email: text(1000) }) } },
    async (request, reply) => {
      await identity.requestReset(scope(request).tenant.tenantId, request.body.email, callerOf(request));
      return reply.code(202).send({});
    },
  );
  app.post<{ Body: { token: string } }>(
    '/password-resets/check',
    { config: open('password_reset.check'), schema: { body: body({ token: text(200) }) } },
    async (request) => {
      const { email, name, expiresAt } = await identity.getReset(scope(request).tenant.tenantId, request.body.token);
      return { email, name, expiresAt };
    },
  );
  app.post<{ Body: { token: string; password: string } }>(
    '/password-resets/complete',
    {
      config: open('password_reset.complete'),
      schema: { body: body({ token: text(200), password: text(2_000_000) }) },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const tenant = scope(request).tenant;
      const cookies = await identity.completeReset(tenant.tenantId, tenant, request.body, callerOf(request));
      return reply
        .header('set-cookie', [...cookies])
        .code(204)
        .send();
    },
  );
}
