import type { FastifyInstance } from 'fastify';
import type { Identity } from '../identity.ts';
import { actorOf, open, scope, signedIn } from '../request-scope.ts';
import { answers, params, queries } from '../schemas.ts';
import { clearDeviceCookie, clearSessionCookie } from './browser.ts';

/** Routes of a user's sessions: devices, and what there is to be told about them. Registered by `identityRoutes`, which keeps the door. */
export function addSessionRoutes(app: FastifyInstance, identity: Identity): void {
  app.get(
    '/sessions',
    { config: signedIn('session.list'), schema: { response: { 200: answers.sessions } } },
    async (request) => ({
      sessions: await identity.listSessions(scope(request).tenant.tenantId, actorOf(request)),
    }),
  );

  app.delete<{ Querystring: { tokens?: 'keep' | 'revoke' } }>(
    '/sessions',
    { config: signedIn('session.delete_all'), schema: { querystring: queries.signOutEverywhere } },
    async (request, reply) => {
      const also = { tokens: request.query.tokens === 'revoke' };
      await identity.signOutEverywhere(scope(request).tenant.tenantId, actorOf(request), also);
      return reply.header('set-cookie', [clearSessionCookie, clearDeviceCookie]).code(204).send();
    },
  );

  app.delete('/sessions/others', { config: signedIn('session.delete_others') }, async (request, reply) => {
    await identity.signOutOthers(scope(request).tenant.tenantId, actorOf(request));
    return reply.code(204).send();
  });

  app.delete<{ Params: { id: string } }>(
    '/sessions/:id',
    { config: signedIn('session.revoke'), schema: { params: params.id } },
    async (request, reply) => {
      await identity.revokeSession(scope(request).tenant.tenantId, actorOf(request), request.params.id);
      return reply.code(204).send();
    },
  );

  // For the sign-in page of a browser that still holds the cookie; it says nothing to anybody else.
  app.get(
    '/session-end',
    { config: open('session.end'), schema: { response: { 200: answers.sessionEnd } } },
    async (request) => {
      const { tenantId } = scope(request).tenant;
      const end = await identity.findSessionEnd(tenantId, request.headers.cookie);
      return end ? { reason: end.reason, endedAt: end.endedAt } : { reason: null, endedAt: null };
    },
  );

  app.get(
    '/session-notices',
    { config: signedIn('session.list_notices'), schema: { response: { 200: answers.sessionNotices } } },
    async (request) => ({
      notices: await identity.listNotices(scope(request).tenant.tenantId, actorOf(request)),
    }),
  );

  app.delete('/session-notices', { config: signedIn('session.dismiss_notices') }, async (request, reply) => {
    await identity.dismissNotices(scope(request).tenant.tenantId, actorOf(request));
    return reply.code(204).send();
  });
}
