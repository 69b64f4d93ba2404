import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { identityErrors } from '#src/identity/index.ts';
import type { AwaitedStaffSignIn, StaffSession, StartedStaffSession } from './console-sessions.ts';
import { staffErrors } from './errors.ts';
import { bodyLimit, callerOf, describe, object, password, text } from './request-scope.ts';
import { secondFactorRoutes } from './second-factor-routes.ts';
import type { Staff } from './staff.ts';

const bodies = {
  setup: object({ email: text(1000), name: text(1000), password }, ['email', 'name', 'password']),
  signIn: object({ email: text(1000), password }, ['email', 'password']),
  passwordCheck: object({ password, email: text(1000), name: text(1000) }, ['password']),
};
const tokenParams = object({ token: text(200) }, ['token']);

/** The page sends it with requests that it makes by itself; they do not keep a session from locking. */
export const backgroundHeader = 'freehold-background';

export function isBackground(request: FastifyRequest): boolean {
  return request.headers[backgroundHeader] === '1';
}

/** Whoever has no second factor may set one up and do nothing else. Throws FH_SECOND_FACTOR_REQUIRED. */
export function requireFactor({ mustEnrol }: StaffSession): void {
  if (mustEnrol)
    throw identityErrors.FH_SECOND_FACTOR_REQUIRED({
      hint: 'Set up an authenticator app on the page /second-factor of the console; everything else waits for it.',
    });
}

/** Set-up and sessions of the console; register with prefix `/api`. Reachable without a session: each route says for itself what it needs. */
export function staffRoutes(staff: Staff): FastifyPluginAsync {
  return async (app) => {
    app.addHook('preHandler', async (_, reply) => {
      reply.header('cache-control', 'no-store');
    });

    app.get<{ Params: { token: string } }>(
      '/setup/:token',
      { config: { operation: 'staff.setup.get' }, schema: { params: tokenParams } },
      async ({ params: { token } }) => {
        const { email, expiresAt } = await staff.getSetup(token);
        return { email: email ?? null, expiresAt };
      },
    );

    app.post<{ Params: { token: string }; Body: { email: string; name: string; password: string } }>(
      '/setup/:token',
      { config: { operation: 'staff.setup.complete' }, schema: { params: tokenParams, body: bodies.setup }, bodyLimit },
      async (request, reply) => {
        const setup = { token: request.params.token, ...request.body };
        return sendEntered(reply, await staff.completeSetup(setup, callerOf(request)));
      },
    );

    app.post<{ Body: { email: string; password: string } }>(
      '/session',
      { config: { operation: 'staff.session.create' }, schema: { body: bodies.signIn }, bodyLimit },
      async (request, reply) => sendEntered(reply, await staff.signIn(request.body, callerOf(request))),
    );

    app.get('/session', { config: { operation: 'staff.session.get' } }, async (request) => {
      const background = isBackground(request);
      const session = await staff.authenticate(request.headers.cookie, { background });
      if (!session) throw staffErrors.FH_STAFF_SESSION_REQUIRED();
      return describe(session);
    });

    app.delete('/session', { config: { operation: 'staff.session.delete' } }, async (request, reply) =>
      reply
        .header('set-cookie', await staff.signOut(request.headers.cookie))
        .code(204)
        .send(),
    );

    await app.register(secondFactorRoutes(staff));

    app.post<{ Body: { password: string; email?: string; name?: string } }>(
      '/password-check',
      { config: { operation: 'staff.password.check' }, schema: { body: bodies.passwordCheck }, bodyLimit },
      async ({ body: { password, email, name } }) => staff.checkPassword(password, { email, name }),
    );
  };
}

/** 201 with the session; 202 where a code is asked for. */
function sendEntered(reply: FastifyReply, entered: StartedStaffSession | AwaitedStaffSignIn) {
  reply.header('set-cookie', [...entered.setCookies]);
  if (entered.session) return reply.code(201).send(describe(entered.session));
  return reply.code(202).send({ secondFactor: { expiresAt: entered.expiresAt } });
}
