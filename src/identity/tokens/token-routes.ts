import type { FastifyInstance } from 'fastify';
import type { Identity } from '../identity.ts';
import { actorOf, administrators, callerOf, passwordBodyBytes, scope, signedIn } from '../request-scope.ts';
import { answers, bodies, params } from '../schemas.ts';
import type { TokenOrder } from './api-tokens.ts';

/** Routes of API tokens: one's own, and for administrators everybody's. Registered by `identityRoutes`, which keeps the door. */
export function addTokenRoutes(app: FastifyInstance, identity: Identity): void {
  app.get(
    '/tokens',
    { config: signedIn('token.list'), schema: { response: { 200: answers.apiTokens } } },
    async (request) => {
      const tokens = await identity.listApiTokens(scope(request).tenant.tenantId, actorOf(request));
      return { tokens };
    },
  );

  app.post<{ Body: TokenOrder }>(
    '/tokens',
    {
      config: signedIn('token.create'),
      schema: { body: bodies.createApiToken, response: { 201: answers.newApiToken } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const actor = actorOf(request);
      return reply.code(201).send(await identity.createApiToken(tenantId, actor, request.body, callerOf(request)));
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/tokens/:id',
    { config: signedIn('token.revoke'), schema: { params: params.id } },
    async (request, reply) => {
      await identity.revokeApiToken(scope(request).tenant.tenantId, actorOf(request), request.params.id);
      return reply.code(204).send();
    },
  );

  app.get(
    '/users/tokens',
    { config: administrators('token.list_all'), schema: { response: { 200: answers.apiTokens } } },
    async (request) => {
      const tokens = await identity.listAllApiTokens(scope(request).tenant.tenantId, actorOf(request));
      return { tokens };
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/users/tokens/:id',
    { config: administrators('token.revoke_any'), schema: { params: params.id } },
    async (request, reply) => {
      await identity.revokeAnyApiToken(scope(request).tenant.tenantId, actorOf(request), request.params.id);
      return reply.code(204).send();
    },
  );
}
