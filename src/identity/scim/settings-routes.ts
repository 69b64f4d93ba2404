import type { FastifyInstance } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Identity } from '../identity.ts';
import { actorOf, administrators, passwordBodyBytes, scope } from '../request-scope.ts';
import { params } from '../schemas.ts';
import { scimPath } from './scim-routes.ts';
import type { GroupRole, ScimTokenOrder } from './scim-settings.ts';
import { settingsAnswers, settingsBodies } from './settings-schemas.ts';

/** Routes of the account page about provisioning. Registered by `identityRoutes`, which keeps the door. */
export function addScimSettingsRoutes(
  app: FastifyInstance,
  identity: Identity,
  { originOf }: { readonly originOf: (tenant: TenantRoute) => string },
): void {
  app.get(
    '/scim',
    { config: administrators('scim.get'), schema: { response: { 200: settingsAnswers.settings } } },
    async (request) => {
      const { tenant } = scope(request);
      const settings = await identity.getScimSettings(tenant.tenantId, actorOf(request));
      return { baseUrl: originOf(tenant) + scimPath, ...settings };
    },
  );

  app.post<{ Body: ScimTokenOrder }>(
    '/scim/tokens',
    {
      config: administrators('scim_token.create'),
      schema: { body: settingsBodies.createToken, response: { 201: settingsAnswers.newToken } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) =>
      reply
        .code(201)
        .send(await identity.createScimToken(scope(request).tenant.tenantId, actorOf(request), request.body)),
  );

  app.delete<{ Params: { id: string } }>(
    '/scim/tokens/:id',
    { config: administrators('scim_token.revoke'), schema: { params: params.id } },
    async (request, reply) => {
      await identity.revokeScimToken(scope(request).tenant.tenantId, actorOf(request), request.params.id);
      return reply.code(204).send();
    },
  );

  app.put<{ Params: { id: string }; Body: { role: GroupRole } }>(
    '/scim/groups/:id/role',
    { config: administrators('scim_group.map'), schema: { params: params.id, body: settingsBodies.groupRole } },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.setScimGroupRole(tenantId, actorOf(request), request.params.id, request.body.role);
      return reply.code(204).send();
    },
  );
}
