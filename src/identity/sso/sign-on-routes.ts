import type { FastifyInstance, FastifyReply } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Identity } from '../identity.ts';
import { actorOf, callerOf, enrolling, open, scope } from '../request-scope.ts';
import { clearSessionCookie } from '../sessions/browser.ts';
import { addressRange } from '../sign-in/address.ts';
import { createAdmission, perMinute, questionsPerMinute } from './admission.ts';
import type { SignOnOutcome } from './flow.ts';
import { signOnLifetimeSeconds } from './sign-on-cookie.ts';
import { signOnAnswers, signOnBodies, signOnParams } from './sign-on-schemas.ts';

/** Answers to one sign-in that somebody began, refused ones included: a provider sends one, and a page may be sent again. */
const answersPerRequest = 10;

/** Single sign-on, as whoever signs in sees it. Registered by `identityRoutes`. */
export function addSignOnRoutes(
  app: FastifyInstance,
  identity: Identity,
  originOf: (tenant: TenantRoute) => string,
): void {
  const admitStart = createAdmission(perMinute, 60);
  // Its own: who asks for addresses by the list takes no sign-in away from others of the network.
  const admitQuestion = createAdmission(questionsPerMinute, 60);
  // A refused answer uses no request up, so somebody could have messages judged, and the log written, without end.
  const admitAnswer = createAdmission(perMinute, 60);
  const admitAnswerToOne = createAdmission(answersPerRequest, signOnLifetimeSeconds);

  app.get(
    '/sign-on',
    { config: open('sign_on.get'), schema: { response: { 200: signOnAnswers.offered } } },
    async (request) => identity.getSignOn(scope(request).tenant.tenantId),
  );

  app.post<{ Body: { email: string } }>(
    '/sign-on/discover',
    {
      config: open('sign_on.discover'),
      schema: { body: signOnBodies.discover, response: { 200: signOnAnswers.discovered } },
    },
    async (request) => {
      await admitQuestion(addressRange(request.ip));
      return {
        connectionId: (await identity.discoverSignOn(scope(request).tenant.tenantId, request.body.email)) ?? null,
      };
    },
  );

  app.post<{ Body: { connectionId: string; next?: string; email?: string } }>(
    '/sign-on/start',
    { config: open('sign_on.start'), schema: { body: signOnBodies.start, response: { 200: signOnAnswers.started } } },
    async (request, reply) => {
      const { tenant } = scope(request);
      await admitStart(addressRange(request.ip));
      const { url, setCookies } = await identity.beginSignOn(
        tenant.tenantId,
        originOf(tenant),
        request.body,
        callerOf(request),
      );
      return reply.header('set-cookie', [...setCookies]).send({ url });
    },
  );

  app.post<{ Body: { query: string } }>(
    '/sign-on/oidc',
    {
      config: open('sign_on.finish_oidc'),
      schema: { body: signOnBodies.oidc, response: { '2xx': signOnAnswers.finished } },
    },
    async (request, reply) => {
      const { tenant } = scope(request);
      const outcome = await identity.finishOidc(
        tenant.tenantId,
        originOf(tenant),
        request.body.query,
        callerOf(request),
      );
      return sendOutcome(reply, outcome);
    },
  );

  // Which connection it is for stands in the request that was stored, in no parameter.
  app.post<{ Body: { samlResponse: string; relayState: string } }>(
    '/sign-on/saml',
    {
      config: open('sign_on.finish_saml'),
      schema: { body: signOnBodies.saml, response: { '2xx': signOnAnswers.finished } },
    },
    async (request, reply) => {
      const { tenant } = scope(request);
      await admitAnswer(addressRange(request.ip));
      await admitAnswerToOne(request.body.relayState);
      const outcome = await identity.finishSaml(tenant.tenantId, originOf(tenant), request.body, callerOf(request));
      return sendOutcome(reply, outcome);
    },
  );

  // As `DELETE /session`, for pages: the browser goes on to the provider where the session came over one that signs out, too.
  app.post(
    '/session/sign-out',
    { config: enrolling('session.sign_out'), schema: { response: { 200: signOnAnswers.left } } },
    async (request, reply) => {
      const { tenant } = scope(request);
      const { next, setCookies } = await identity.leave(
        tenant.tenantId,
        originOf(tenant),
        actorOf(request),
        callerOf(request),
      );
      return reply.header('set-cookie', [clearSessionCookie, ...setCookies]).send({ next });
    },
  );

  app.post<{ Params: { id: string }; Body: { samlResponse?: string; relayState?: string; query?: string } }>(
    '/sign-on/saml/log-out/:id',
    {
      config: open('sign_on.finish_saml_log_out'),
      schema: {
        params: signOnParams.connection,
        body: signOnBodies.samlLogOut,
        response: { 200: signOnAnswers.loggedOut },
      },
    },
    async (request) => {
      const { tenant } = scope(request);
      const { body, params } = request;
      await admitAnswer(addressRange(request.ip));
      const { query: rawQuery = '', samlResponse: message, relayState = '' } = body;
      const received =
        message === undefined
          ? ({ binding: 'redirect', rawQuery } as const)
          : ({ binding: 'post', message, relayState } as const);
      return identity.finishLeaving(tenant.tenantId, originOf(tenant), params.id, received, callerOf(request));
    },
  );

  app.get('/sign-on/saml/metadata', { config: open('sign_on.get_saml_metadata') }, async (request, reply) => {
    const { tenant } = scope(request);
    return reply.type(metadataType).send(await identity.getSamlMetadata(tenant.tenantId, originOf(tenant)));
  });

  app.get<{ Params: { id: string } }>(
    '/sign-on/saml/metadata/:id',
    { config: open('sign_on.get_connection_metadata'), schema: { params: signOnParams.connection } },
    async (request, reply) => {
      const { tenant } = scope(request);
      const { id } = request.params;
      return reply.type(metadataType).send(await identity.getSamlMetadata(tenant.tenantId, originOf(tenant), id));
    },
  );
}

/** SAML metadata, appendix A. */
const metadataType = 'application/samlmetadata+xml; charset=utf-8';

function sendOutcome(reply: FastifyReply, outcome: SignOnOutcome): FastifyReply {
  if (outcome.tested !== undefined) return reply.send({ next: null, secondFactor: false, tested: outcome.tested });
  const { entered, next } = outcome;
  return reply
    .header('set-cookie', [...entered.setCookies])
    .code(entered.session ? 201 : 202)
    .send({ next, secondFactor: entered.session === undefined, tested: null });
}
