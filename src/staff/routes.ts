import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Caller } from '#src/identity/index.ts';
import { staffErrors } from './errors.ts';
import type { Staff, StaffSession } from './staff.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const object = (properties: Record<string, object>, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;
/** More than a password may have, so that a long one is refused by the rules, in words. */
const password = text(2_000_000);
const bodyLimit = 2_200_000;

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
        const { session, setCookie } = await staff.completeSetup(setup, callerOf(request));
        return reply.header('set-cookie', setCookie).code(201).send(describe(session));
      },
    );

    app.post<{ Body: { email: string; password: string } }>(
      '/session',
      { config: { operation: 'staff.session.create' }, schema: { body: bodies.signIn }, bodyLimit },
      async (request, reply) => {
        const { session, setCookie } = await staff.signIn(request.body, callerOf(request));
        return reply.header('set-cookie', setCookie).code(201).send(describe(session));
      },
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

    app.post<{ Body: { password: string; email?: string; name?: string } }>(
      '/password-check',
      { config: { operation: 'staff.password.check' }, schema: { body: bodies.passwordCheck }, bodyLimit },
      async ({ body: { password, email, name } }) => staff.checkPassword(password, { email, name }),
    );
  };
}

function callerOf(request: FastifyRequest): Caller {
  const { cookie, 'user-agent': userAgent } = request.headers;
  return { cookieHeader: cookie, userAgent, address: request.ip };
}

function describe({ expiresAt, ...staff }: StaffSession) {
  return { staff, expiresAt };
}
