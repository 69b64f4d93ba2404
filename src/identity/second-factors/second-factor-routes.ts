import type { FastifyInstance } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Identity } from '../identity.ts';
import type { RelyingParty } from '../passkeys/types.ts';
import {
  actorOf,
  administrators,
  callerOf,
  enrolling,
  open,
  owners,
  passwordBodyBytes,
  scope,
  signedIn,
} from '../request-scope.ts';
import { answers, bodies, params } from '../schemas.ts';
import type { Shown } from '../sessions/own-confirmation.ts';
import type { ShownFactor } from './challenge.ts';
import type { RequiredOf } from './second-factor-policy.ts';

/** Second factors: the second step of signing in, and what users and administrators do about them. Registered by `identityRoutes`. */
export function addSecondFactorRoutes(
  app: FastifyInstance,
  identity: Identity,
  partyOf: (tenant: TenantRoute) => RelyingParty,
): void {
  app.get(
    '/session/second-factor',
    { config: open('session.find_awaited'), schema: { response: { 200: answers.awaited } } },
    async (request) => {
      const awaited = await identity.findAwaitedSignIn(scope(request).tenant.tenantId, callerOf(request));
      return awaited ?? { expiresAt: null, app: false, passkeys: false };
    },
  );

  app.post(
    '/session/second-factor/passkey',
    { config: open('session.ask_passkey'), schema: { response: { 201: answers.passkeyOptions } } },
    async (request, reply) => {
      const { tenant } = scope(request);
      return reply
        .code(201)
        .send(await identity.askSecondStepPasskey(tenant.tenantId, partyOf(tenant), callerOf(request)));
    },
  );

  app.post<{ Body: ShownFactor }>(
    '/session/second-factor',
    { config: open('session.complete'), schema: { body: bodies.factor, response: { 201: answers.session } } },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const { session, setCookies } = await identity.completeSignIn(tenantId, request.body, callerOf(request));
      const { user, ...rest } = session;
      return reply
        .header('set-cookie', [...setCookies])
        .code(201)
        .send({ user, session: rest });
    },
  );

  app.get(
    '/second-factor',
    { config: enrolling('second_factor.get'), schema: { response: { 200: answers.secondFactor } } },
    async (request) => {
      const { enrolledAt, ...rest } = await identity.getSecondFactor(scope(request).tenant.tenantId, actorOf(request));
      return { enrolledAt: enrolledAt ?? null, ...rest };
    },
  );

  app.post<{ Body: Shown }>(
    '/second-factor/totp',
    {
      config: enrolling('second_factor.begin'),
      schema: { body: bodies.confirmation, response: { 201: answers.totp } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenant } = scope(request);
      const begun = await identity.beginTotp(tenant.tenantId, actorOf(request), tenant, request.body);
      return reply.code(201).send(begun);
    },
  );

  app.post<{ Body: { code: string } }>(
    '/second-factor/totp/confirm',
    {
      config: enrolling('second_factor.confirm'),
      schema: { body: bodies.code, response: { 201: answers.recoveryCodes } },
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const { code } = request.body;
      const { setCookies, recoveryCodes } = await identity.confirmTotp(
        tenantId,
        actorOf(request),
        code,
        callerOf(request),
      );
      return reply
        .header('set-cookie', [...setCookies])
        .code(201)
        .send({ recoveryCodes });
    },
  );

  app.post<{ Body: Shown }>(
    '/second-factor/remove',
    { config: signedIn('second_factor.remove'), schema: { body: bodies.confirmation }, bodyLimit: passwordBodyBytes },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.removeSecondFactor(tenantId, actorOf(request), request.body, callerOf(request));
      return reply.code(204).send();
    },
  );

  app.post<{ Body: Shown }>(
    '/second-factor/recovery-codes',
    {
      config: signedIn('second_factor.renew_recovery_codes'),
      schema: { body: bodies.confirmation, response: { 201: answers.recoveryCodes } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      const recoveryCodes = await identity.renewRecoveryCodes(
        tenantId,
        actorOf(request),
        request.body,
        callerOf(request),
      );
      return reply.code(201).send({ recoveryCodes });
    },
  );

  app.post<{ Params: { id: string }; Body: Shown }>(
    '/users/:id/second-factor/remove',
    {
      config: administrators('user.reset_second_factor'),
      schema: { params: params.id, body: bodies.confirmation },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.resetSecondFactor(tenantId, actorOf(request), request.params.id, request.body);
      return reply.code(204).send();
    },
  );

  app.get(
    '/second-factor-policy',
    { config: administrators('second_factor_policy.get'), schema: { response: { 200: answers.secondFactorPolicy } } },
    async (request) => identity.getSecondFactorPolicy(scope(request).tenant.tenantId, actorOf(request)),
  );

  app.put<{ Body: { requiredOf: RequiredOf } & Shown }>(
    '/second-factor-policy',
    {
      config: owners('second_factor_policy.change'),
      schema: { body: bodies.secondFactorPolicy },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { requiredOf, ...shown } = request.body;
      const { tenantId } = scope(request).tenant;
      await identity.setSecondFactorPolicy(tenantId, actorOf(request), requiredOf, shown);
      return reply.code(204).send();
    },
  );
}
