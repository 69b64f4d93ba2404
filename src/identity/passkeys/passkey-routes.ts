import type { FastifyInstance } from 'fastify';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { TenantRoute } from '#src/tenants/types.ts';
import { identityErrors } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { actorOf, callerOf, enrolling, open, passwordBodyBytes, scope, signedIn } from '../request-scope.ts';
import { answers, bodies, params } from '../schemas.ts';
import type { Shown } from '../sessions/own-confirmation.ts';
import { addressRange } from '../sign-in/address.ts';
import type { PasskeyAssertion, PasskeyAttestation, RelyingParty } from './types.ts';

/** Every page of a sign-in asks once, and again every four minutes: a hall full of people behind one address, no more. */
const askWindowSeconds = 10;
const asksPerWindow = 60;

/** Passkeys: signing in with one alone, and what users do about theirs. Registered by `identityRoutes`. */
export function addPasskeyRoutes(
  app: FastifyInstance,
  identity: Identity,
  partyOf: (tenant: TenantRoute) => RelyingParty,
): void {
  const asks = new RateLimiterMemory({ points: asksPerWindow, duration: askWindowSeconds });

  app.post(
    '/session/passkey/options',
    { config: open('session.begin_passkey'), schema: { response: { 201: answers.passkeyOptions } } },
    async (request, reply) => {
      await asks.consume(addressRange(request.ip)).catch((refusal) => {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        const retryAfterSeconds = Math.min(askWindowSeconds, Math.ceil(refusal.msBeforeNext / 1000));
        throw identityErrors.FH_PASSKEY_ASKED_TOO_OFTEN({ retryAfterSeconds });
      });
      const { tenant } = scope(request);
      const { options, setCookies } = await identity.beginPasskeySignIn(
        tenant.tenantId,
        partyOf(tenant),
        callerOf(request),
      );
      return reply
        .header('set-cookie', [...setCookies])
        .code(201)
        .send(options);
    },
  );

  app.post<{ Body: { passkey: PasskeyAssertion } }>(
    '/session/passkey',
    {
      config: open('session.create_with_passkey'),
      schema: { body: bodies.passkeySignIn, response: { 201: answers.session } },
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const { session, setCookies } = await identity.signInWithPasskey(
        tenantId,
        request.body.passkey,
        callerOf(request),
      );
      const { user, ...rest } = session;
      return reply
        .header('set-cookie', [...setCookies])
        .code(201)
        .send({ user, session: rest });
    },
  );

  app.post<{ Body: Shown }>(
    '/passkeys/options',
    {
      config: enrolling('passkey.begin'),
      schema: { body: bodies.confirmation, response: { 201: answers.passkeyOptions } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenant } = scope(request);
      const options = await identity.beginPasskey(tenant.tenantId, actorOf(request), partyOf(tenant), request.body);
      return reply.code(201).send(options);
    },
  );

  app.post<{ Body: { name: string; passkey: PasskeyAttestation } }>(
    '/passkeys',
    {
      config: enrolling('passkey.add'),
      schema: { body: bodies.passkey, response: { 201: answers.recoveryCodes } },
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const { name, passkey: attestation } = request.body;
      const { setCookies, recoveryCodes } = await identity.addPasskey(
        tenantId,
        actorOf(request),
        { name, attestation },
        callerOf(request),
      );
      return reply
        .header('set-cookie', [...setCookies])
        .code(201)
        .send({ recoveryCodes });
    },
  );

  app.post(
    '/passkeys/confirmation',
    { config: signedIn('passkey.ask'), schema: { response: { 201: answers.passkeyOptions } } },
    async (request, reply) => {
      const { tenant } = scope(request);
      return reply.code(201).send(await identity.askOwnPasskey(tenant.tenantId, actorOf(request), partyOf(tenant)));
    },
  );

  app.post<{ Params: { id: string }; Body: Shown }>(
    '/passkeys/:id/remove',
    {
      config: signedIn('passkey.remove'),
      schema: { params: params.id, body: bodies.confirmation },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const { id } = request.params;
      await identity.removePasskey(tenantId, actorOf(request), id, request.body, callerOf(request));
      return reply.code(204).send();
    },
  );
}
