import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { TenantRoute } from '#src/tenants/types.ts';
import { identityErrors } from './errors.ts';
import type { Identity } from './identity.ts';
import { addPasskeyRoutes } from './passkeys/passkey-routes.ts';
import type { RelyingParty } from './passkeys/types.ts';
import { addResetRoutes } from './passwords/reset-routes.ts';
import {
  actorOf,
  administrators,
  callerOf,
  enrolling,
  open,
  passwordBodyBytes,
  scope,
  signedIn,
} from './request-scope.ts';
import { answers, bodies, params } from './schemas.ts';
import { addScimSettingsRoutes } from './scim/index.ts';
import { addSecondFactorRoutes } from './second-factors/second-factor-routes.ts';
import { addSecurityLogRoutes } from './security-log/security-log-routes.ts';
import { clearSessionCookie } from './sessions/browser.ts';
import type { Shown } from './sessions/own-confirmation.ts';
import { addSessionRoutes } from './sessions/session-routes.ts';
import type { StartedSession } from './sessions/session-start.ts';
import { addressRange } from './sign-in/address.ts';
import { addSignOnAdminRoutes, addSignOnRoutes } from './sso/index.ts';
import { addTokenRoutes } from './tokens/token-routes.ts';
import type { Role, Session, User } from './types.ts';
import type { Invitation, Invitee } from './users/invitations.ts';

export interface IdentityRoutesOptions {
  /** The configured origin of a tenant, `https://NAME.DOMAIN[:PORT]`; never taken from the request. */
  readonly originOf: (tenant: TenantRoute) => string;
}

const checkWindowSeconds = 10;

/** Path of the page that accepts an invitation. */
export function invitationPath(token: string): string {
  return `/-/invitations/${token}`;
}

/**
 * Routes of the users of a tenant; register with prefix `/-/api`. Each says in its config who may call it; the gateway enforces that, and
 * so does this plugin, because a forgotten check there must not open a door here.
 */
export function identityRoutes(identity: Identity, { originOf }: IdentityRoutesOptions): FastifyPluginAsync {
  const checks = new RateLimiterMemory({ points: 60, duration: checkWindowSeconds });
  const partyOf = (tenant: TenantRoute): RelyingParty => ({
    id: tenant.host,
    origin: originOf(tenant),
    title: tenant.title,
  });

  return async (app) => {
    app.addHook('preHandler', async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const config = request.routeConfig;
      if (config.withoutSession === 'allow') return;
      const { session } = scope(request);
      if (!session) throw identityErrors.FH_SESSION_REQUIRED();
      if (config.roles && !config.roles.includes(session.user.role)) throw identityErrors.FH_ROLE_REQUIRED();
      if (session.mustEnrol && !config.whileEnrolling) throw identityErrors.FH_SECOND_FACTOR_REQUIRED();
    });

    app.post<{ Body: { email: string; password: string } }>(
      '/session',
      {
        config: open('session.create'),
        schema: { body: bodies.signIn, response: { 201: answers.session, 202: answers.awaitedSignIn } },
        bodyLimit: passwordBodyBytes,
      },
      async (request, reply) => {
        const { tenant } = scope(request);
        const started = await identity.signIn(tenant.tenantId, request.body, callerOf(request));
        if (started.session) return sendStarted(reply, started);
        const { setCookies, expiresAt } = started;
        return reply
          .header('set-cookie', [...setCookies])
          .code(202)
          .send({ secondFactor: { expiresAt } });
      },
    );

    app.get(
      '/session',
      { config: enrolling('session.get'), schema: { response: { 200: answers.session } } },
      async (request) => describeSession(actorOf(request).session),
    );

    app.delete('/session', { config: enrolling('session.delete') }, async (request, reply) => {
      await identity.signOut(scope(request).tenant.tenantId, actorOf(request));
      return reply.header('set-cookie', clearSessionCookie).code(204).send();
    });

    addSessionRoutes(app, identity);
    addResetRoutes(app, identity);
    addSecondFactorRoutes(app, identity, partyOf);
    addPasskeyRoutes(app, identity, partyOf);
    addTokenRoutes(app, identity);
    addScimSettingsRoutes(app, identity, { originOf });
    addSecurityLogRoutes(app, identity);
    addSignOnRoutes(app, identity, originOf);
    addSignOnAdminRoutes(app, identity, originOf);

    app.get<{ Params: { token: string } }>(
      '/invitations/:token',
      { config: open('invitation.get'), schema: { params: params.token, response: { 200: answers.openInvitation } } },
      async (request) =>
        describeInvitation(await identity.getInvitation(scope(request).tenant.tenantId, request.params.token)),
    );

    app.post<{ Params: { token: string }; Body: { name?: string; password: string } }>(
      '/invitations/:token',
      {
        config: open('invitation.accept'),
        schema: { params: params.token, body: bodies.acceptInvitation, response: { 201: answers.session } },
        bodyLimit: passwordBodyBytes,
      },
      async (request, reply) => {
        const { tenant } = scope(request);
        const acceptance = { token: request.params.token, ...request.body };
        return sendStarted(
          reply,
          await identity.acceptInvitation(tenant.tenantId, tenant, acceptance, callerOf(request)),
        );
      },
    );

    app.get(
      '/invitations',
      { config: administrators('invitation.list'), schema: { response: { 200: answers.invitations } } },
      async (request) => {
        const invitations = await identity.listInvitations(scope(request).tenant.tenantId);
        return { invitations: invitations.map(describeInvitation) };
      },
    );

    app.post<{ Body: Invitee }>(
      '/invitations',
      {
        config: administrators('invitation.create'),
        schema: { body: bodies.invite, response: { 201: answers.invitation } },
      },
      async (request, reply) => {
        const { tenant } = scope(request);
        const { invitation, token } = await identity.createInvitation(tenant.tenantId, actorOf(request), request.body);
        return reply
          .code(201)
          .send({ ...describeInvitation(invitation), url: originOf(tenant) + invitationPath(token) });
      },
    );

    app.delete<{ Params: { id: string } }>(
      '/invitations/:id',
      { config: administrators('invitation.revoke'), schema: { params: params.id } },
      async (request, reply) => {
        await identity.revokeInvitation(scope(request).tenant.tenantId, actorOf(request), request.params.id);
        return reply.code(204).send();
      },
    );

    app.get(
      '/users',
      { config: signedIn('user.list'), schema: { response: { 200: answers.users } } },
      async (request) => ({
        users: await identity.listUsers(scope(request).tenant.tenantId),
      }),
    );

    app.patch<{ Params: { id: string }; Body: { role: Role } | { state: User['state'] } }>(
      '/users/:id',
      {
        config: administrators('user.change'),
        schema: { params: params.id, body: bodies.changeUser, response: { 200: answers.user } },
      },
      async (request) => {
        const { tenant } = scope(request);
        const actor = actorOf(request);
        const { id } = request.params;
        const { body } = request;
        return 'role' in body
          ? identity.setRole(tenant.tenantId, actor, id, body.role)
          : identity.setUserState(tenant.tenantId, actor, id, body.state);
      },
    );

    app.put<{ Body: { currentPassword: string; newPassword: string } & Omit<Shown, 'password'> }>(
      '/password',
      { config: signedIn('password.change'), schema: { body: bodies.changePassword }, bodyLimit: passwordBodyBytes },
      async (request, reply) => {
        const { tenant } = scope(request);
        const { tenantId } = tenant;
        const started = await identity.changePassword(
          tenantId,
          actorOf(request),
          tenant,
          request.body,
          callerOf(request),
        );
        return reply
          .header('set-cookie', [...started.setCookies])
          .code(204)
          .send();
      },
    );

    app.get('/profile', { config: signedIn('profile.get') }, async (request) => actorOf(request).session.user);

    app.patch<{ Body: { name: string } }>(
      '/profile',
      { config: signedIn('profile.change'), schema: { body: bodies.profile, response: { 200: answers.user } } },
      async (request) => identity.setOwnName(scope(request).tenant.tenantId, actorOf(request), request.body.name),
    );

    app.post<{ Body: { password: string; email?: string; name?: string } }>(
      '/password-check',
      {
        config: open('password.check'),
        schema: { body: bodies.passwordCheck, response: { 200: answers.passwordVerdict } },
        bodyLimit: passwordBodyBytes,
      },
      async (request) => {
        await checks.consume(addressRange(request.ip)).catch((refusal) => {
          if (!(refusal instanceof RateLimiterRes)) throw refusal;
          // The limiter reckons with the wall clock, which may have been set back; its window is timed by another.
          const retryAfterSeconds = Math.min(checkWindowSeconds, Math.ceil(refusal.msBeforeNext / 1000));
          throw identityErrors.FH_PASSWORD_CHECK_LIMITED({ retryAfterSeconds });
        });
        const { tenant } = scope(request);
        const { password, email, name } = request.body;
        return identity.checkPassword(password, { email, name, tenant: [tenant.name, tenant.title] });
      },
    );
  };
}

function sendStarted(reply: FastifyReply, { session, setCookies }: StartedSession): FastifyReply {
  return reply
    .header('set-cookie', [...setCookies])
    .code(201)
    .send(describeSession(session));
}

function describeSession({ user, ...session }: Session) {
  return { user, session };
}

function describeInvitation({ inviterName, name, ...invitation }: Invitation) {
  return { ...invitation, name: name ?? null, invitedBy: inviterName ?? null };
}
