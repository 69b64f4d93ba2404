import type { FastifyPluginAsync } from 'fastify';
import { bodyLimit, callerOf, describe, object, password, text } from './request-scope.ts';
import type { Staff } from './staff.ts';

const code = text(100);
const bodies = {
  code: object({ code }, ['code']),
  begin: object({ password }, []),
  stepUp: object({ password, code }, ['code']),
};

/** The second step of signing in, the set-up of an app, and step-up. Registered by `staffRoutes`. Each asks for the session that it needs. */
export function secondFactorRoutes(staff: Staff): FastifyPluginAsync {
  return async (app) => {
    app.get('/session/second-factor', { config: { operation: 'staff.session.find_awaited' } }, async (request) => {
      const awaited = await staff.findAwaitedSignIn(request.headers.cookie);
      return { expiresAt: awaited?.expiresAt ?? null };
    });

    app.post<{ Body: { code: string } }>(
      '/session/second-factor',
      { config: { operation: 'staff.session.complete' }, schema: { body: bodies.code } },
      async (request, reply) => {
        const { session, setCookies } = await staff.completeSignIn(request.body.code, callerOf(request));
        return reply
          .header('set-cookie', [...setCookies])
          .code(201)
          .send(describe(session));
      },
    );

    app.get('/session/step-up', { config: { operation: 'staff.step_up.get' } }, async (request) => {
      const { confirmedUntil, asksPassword } = await staff.getStepUp(request.headers.cookie);
      return { confirmedUntil: confirmedUntil ?? null, asksPassword };
    });

    app.post<{ Body: { password?: string; code: string } }>(
      '/session/step-up',
      { config: { operation: 'staff.step_up.confirm' }, schema: { body: bodies.stepUp }, bodyLimit },
      (request) => staff.confirmStepUp(request.body, callerOf(request)),
    );

    app.get('/second-factor', { config: { operation: 'staff.second_factor.get' } }, async (request) => {
      const { enrolledAt, recoveryCodesLeft } = await staff.getSecondFactor(request.headers.cookie);
      return { enrolledAt: enrolledAt ?? null, recoveryCodesLeft };
    });

    app.post<{ Body: { password?: string } }>(
      '/second-factor/totp',
      { config: { operation: 'staff.second_factor.begin' }, schema: { body: bodies.begin }, bodyLimit },
      async (request, reply) => reply.code(201).send(await staff.beginTotp(request.body.password, callerOf(request))),
    );

    app.post<{ Body: { code: string } }>(
      '/second-factor/totp/confirm',
      { config: { operation: 'staff.second_factor.confirm' }, schema: { body: bodies.code } },
      async (request, reply) => {
        const { setCookies, recoveryCodes } = await staff.confirmTotp(request.body.code, callerOf(request));
        return reply
          .header('set-cookie', [...setCookies])
          .code(201)
          .send({ recoveryCodes });
      },
    );

    app.post(
      '/second-factor/recovery-codes',
      { config: { operation: 'staff.second_factor.renew_recovery_codes' } },
      async (request, reply) =>
        reply.code(201).send({ recoveryCodes: await staff.renewRecoveryCodes(callerOf(request)) }),
    );
  };
}
