import type { FastifyInstance } from 'fastify';
import { createAccessReset, resetPath } from '#src/identity/index.ts';
import { tenantErrors } from '#src/tenants/index.ts';
import type { ControlServices } from './control-services.ts';

export interface AccessLink {
  readonly email: string;
  readonly url: string;
  readonly expiresAt: string;
}

/** Only on the command socket: whoever may open it is the operator. */
export function userLinkRoutes({
  lifecycle,
  databases,
  tenantUrl,
}: Pick<ControlServices, 'lifecycle' | 'databases' | 'tenantUrl'>) {
  return async (app: FastifyInstance): Promise<void> => {
    app.post<{ Params: { tenantId: string }; Body: { email: string } }>(
      '/api/tenants/:tenantId/access-links',
      {
        config: { operation: 'user.access_link.create' },
        schema: {
          body: {
            type: 'object',
            additionalProperties: false,
            required: ['email'],
            properties: { email: { type: 'string', maxLength: 254 } },
          },
        },
      },
      async (request, reply) => {
        const { tenantId, name, state } = await lifecycle.getTenant(request.params.tenantId);
        if (state !== 'active')
          throw tenantErrors.FH_TENANT_STATE({
            detail: `it is ${state}, and its users can be let in only while it is active`,
            ...(state === 'suspended' && { hint: `First: ./freehold tenant resume ${name}` }),
          });
        const { token, email, expiresAt } = await databases.platform.transact(tenantId, (db) =>
          createAccessReset(db, request.body.email, 'os:operator'),
        );
        const url = tenantUrl(name) + resetPath(token);
        return reply.code(201).send({ email, url, expiresAt: expiresAt.toISOString() } satisfies AccessLink);
      },
    );
  };
}
