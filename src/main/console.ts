import { createServer } from 'node:https';
import { join } from 'node:path';
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify';
import {
  type AppLogDeps,
  appLogRoutes,
  type ConsoleApiDeps,
  consoleApi,
  createSignedIn,
  type HealthDeps,
  healthRoutes,
  mailRoutes,
} from '#src/console-api/index.ts';
import { refuseCrossSite } from '#src/gateway/index.ts';
import { createHttpApp, type HttpMetrics, hstsOf, type Page, servePage, tlsFloor } from '#src/http/index.ts';
import { createGatewayKey } from '#src/keys/index.ts';
import { mailStates } from '#src/mail/index.ts';
import { isBackground, requireFactor, staffErrors, staffRoutes } from '#src/staff/index.ts';
import type { Child } from './child.ts';
import type { Config } from './config.ts';
import type { ControlServices } from './control-services.ts';
import { mainErrors } from './errors.ts';
import type { Folders } from './folders.ts';
import { setupUrlOf } from './setup-url.ts';

const renewEveryMs = 24 * 60 * 60_000;

export interface ConsoleDeps {
  readonly config: Config;
  readonly folders: Folders;
  readonly services: ControlServices;
  readonly page: Page;
  readonly apiDeps: Omit<ConsoleApiDeps, 'actorOf' | 'requireStepUp' | 'confirmSignedIn'>;
  readonly appLogs: Omit<AppLogDeps, 'actorOf' | 'requireStepUp'>;
  readonly healthDeps: HealthDeps;
  readonly backupApi: FastifyPluginAsync;
  readonly metrics: HttpMetrics;
  readonly child: Child;
}

/** The console's own listener: staff only. @returns the one-time address for the first staff member, while there is none */
export async function startConsole(deps: ConsoleDeps): Promise<{ setupUrl: string | undefined }> {
  const { config, services, child } = deps;
  const { authority, staff, clock } = services;
  const { privateKeyPem, publicKeyPem } = await createGatewayKey(join(deps.folders.control, 'console'));
  const certificate = async () => ({ key: privateKeyPem, cert: await authority.issue(config.domain, publicKeyPem) });
  const first = await certificate();

  const signedIn = createSignedIn(async (request) => {
    const session = await staff.authenticate(request.headers.cookie, { background: isBackground(request) });
    if (!session) throw staffErrors.FH_STAFF_SESSION_REQUIRED();
    requireFactor(session);
    return session;
  });
  const app = createHttpApp({
    name: 'console',
    log: child.log,
    clock,
    metrics: deps.metrics,
    hsts: hstsOf(config.domain),
    describe: (request) => ({
      staffId: signedIn.find(request)?.staffId,
      ...(request.errorCode === undefined ? {} : { address: request.ip }),
    }),
    serverFactory: (handler) => {
      const server = createServer(
        { ...tlsFloor, ...first, headersTimeout: 15_000, requestTimeout: 3_600_000, maxHeaderSize: 16_384 },
        handler,
      );
      // A leaf lives about a year; a control that runs longer renews it on the way.
      const timer = setInterval(
        () => void certificate().then((context) => server.setSecureContext({ ...tlsFloor, ...context })),
        renewEveryMs,
      );
      timer.unref();
      return server;
    },
  });
  guardDoor(app, config);
  await app.register(staffRoutes(staff), { prefix: '/api' });
  await app.register(async (scope) => {
    signedIn.guard(scope);
    const actorOf = (request: FastifyRequest): string => {
      const session = signedIn.find(request);
      if (!session) throw staffErrors.FH_STAFF_SESSION_REQUIRED();
      return `staff:${session.staffId}`;
    };
    const requireStepUp = (request: FastifyRequest) => staff.requireStepUp(request.headers.cookie);
    await scope.register(consoleApi({ ...deps.apiDeps, actorOf, requireStepUp, confirmSignedIn: signedIn.confirm }));
    await scope.register(appLogRoutes({ ...deps.appLogs, actorOf, requireStepUp }));
    await scope.register(healthRoutes(deps.healthDeps));
    await scope.register(deps.backupApi);
    await scope.register(mailRoutes({ ...services.mail, states: mailStates, actorOf, requireStepUp }));
  });
  servePage(app, deps.page, { except: ['/api/'] });
  await app.listen({ host: config.consoleHost, port: config.consolePort }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE' || error.code === 'EACCES')
      throw mainErrors.FH_PORT_TAKEN({
        detail: `console, ${config.consoleHost}:${config.consolePort} (${error.code})`,
        cause: error,
      });
    throw error;
  });
  child.shutdown.add('console', 5_000, async () => {
    await app.close();
  });
  if (!(await staff.needsSetup())) return { setupUrl: undefined };
  return { setupUrl: setupUrlOf(config, (await staff.createSetupLink()).token) };
}

/** Only the console's own names and origins: a page elsewhere that points its name at this address (DNS rebinding) gets nothing. */
function guardDoor(app: FastifyInstance, config: Config): void {
  const names = new Set([
    'localhost',
    '127.0.0.1',
    '[::1]',
    config.domain,
    config.consoleHost.includes(':') ? `[${config.consoleHost}]` : config.consoleHost,
  ]);
  const hosts = new Set(
    [...names].flatMap((name) => [`${name}:${config.consolePort}`, ...(config.consolePort === 443 ? [name] : [])]),
  );
  app.addHook('onRequest', async (request) => {
    const given = request.raw.rawHeaders.filter(
      (_, index, all) => index % 2 === 1 && all[index - 1]!.toLowerCase() === 'host',
    );
    if (given.length !== 1 || !hosts.has(given[0]!))
      throw mainErrors.FH_CONSOLE_HOST({ hint: `Use https://localhost:${config.consolePort}` });
    refuseCrossSite(request.method, request.headers, `https://${given[0]}`);
  });
}
