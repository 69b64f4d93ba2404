import { availableParallelism } from 'node:os';
import type { FastifyRequest } from 'fastify';
import { createTenantDatabases } from '#src/databases/index.ts';
import { createTenantFiles } from '#src/files/index.ts';
import { backupRoutes, connectToBackups, connectToControl, createGateway } from '#src/gateway/index.ts';
import { createHosting, createProxied, type HostedRequest } from '#src/hosting/index.ts';
import {
  createIdentity,
  createProvider,
  createSamlEngine,
  identityRoutes,
  providerRoutes,
  scimRoutes,
} from '#src/identity/index.ts';
import { armFailpoints, systemClock, type TenantId } from '#src/kernel/index.ts';
import { createGatewayKey } from '#src/keys/index.ts';
import { createAppProcesses } from '#src/processes/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { createChild } from './child.ts';
import { type Config, type Env, parseConfig } from './config.ts';
import { createTxtResolver } from './dns.ts';
import { mainErrors } from './errors.ts';
import { foldersOf } from './folders.ts';
import { outgoingOf } from './outgoing.ts';
import { passwordRulesOf } from './password-list.ts';
import { loadAppPages, loadBuiltPage, loadProgram } from './program.ts';

const drainDeadlineMs = 12_000;

/** One gateway worker: TLS, host → tenant → session → app. Its port is shared with the other workers. */
export async function runGateway(env: Env): Promise<void> {
  const config: Config = parseConfig(env);
  armFailpoints(config.failpoints);
  const folders = foldersOf(config.dataDir);
  const child = createChild('gateway', config);
  const { log, shutdown } = child;
  const clock = systemClock;

  // What needs root: our own files, and a low port.
  const program = await loadProgram();
  const accountPage = await loadBuiltPage('account');
  const pages = await loadAppPages(program.apps);
  const rules = passwordRulesOf(config);
  const outgoing = outgoingOf(config, log);
  // Loads the list that is built in.
  await rules.check('warm-up', {});

  const urlOf = (route: Pick<TenantRoute, 'host'>): string => gateway.urlOf(route.host);
  let control: ReturnType<typeof connectToControl> | undefined;
  const getControl = () => {
    if (!control) throw new Error('the gateway is not ready');
    return control;
  };
  const gateway = createGateway({
    directory: {
      findRoute: (host) => getControl().directory.findRoute(host),
      knownRoute: (host) => getControl().directory.knownRoute(host),
      findCertificate: (host) => getControl().directory.findCertificate(host),
    },
    identity: {
      authenticate: (request: FastifyRequest) =>
        parts().identity.authenticate(request.tenant.tenantId, request.headers.cookie, { address: request.ip }),
      isStillSignedIn: (request) => isStillSignedIn(parts().identity, request),
      presume: (request) => parts().identity.presume(request.tenant.tenantId, request.headers.cookie, request.ip),
      checkToken: (request, tokenHash) =>
        parts().identity.checkApiToken(request.tenant.tenantId, tokenHash, {
          address: request.ip,
          userAgent: request.headers['user-agent'],
        }),
      checkScimToken: (request, tokenHash) =>
        parts().identity.checkScimToken(request.tenant.tenantId, tokenHash, {
          address: request.ip,
          userAgent: request.headers['user-agent'],
        }),
      endFromProvider: ({ tenant, ip: address, headers }, connectionId, received) =>
        parts().identity.endFromProvider(tenant.tenantId, urlOf(tenant), connectionId, received, {
          address,
          userAgent: headers['user-agent'],
        }),
      scim: async (app) => scimRoutes(parts().identity, { originOf: urlOf, log })(app, {}),
      provider: {
        all: async (app) => providerRoutes(parts().provider, { originOf: urlOf }).all(app, {}),
        backChannel: async (app) => providerRoutes(parts().provider, { originOf: urlOf }).backChannel(app, {}),
      },
      renew: (request) => parts().identity.renew(request.tenant.tenantId, request.headers.cookie),
      routes: async (app) => identityRoutes(parts().identity, { originOf: urlOf })(app, {}),
    },
    hosting: {
      plugin: (name) => parts().hosting.plugin(name),
      proxied: (...about) => parts().proxied.plugin(...about),
      stop: (deadlineMs) => {
        parts().proxied.stop();
        return parts().hosting.stop(deadlineMs);
      },
    },
    ...(config.backups === 'on' &&
      !config.externalDatabase && {
        backups: async (app) =>
          backupRoutes({
            backups: connectToBackups({ socketPath: folders.backupsSocket }),
            identity: parts().identity,
          })(app, {}),
      }),
    backChannelFolder: folders.backChannel,
    accountPage,
    domain: config.domain,
    host: config.host,
    port: config.port,
    publicPort: config.publicPort,
    httpPort: config.httpPort,
    tls: async () => ({ privateKeyPem: (await key()).privateKeyPem, certificates: config.tlsCertificates }),
    noteUse: (tenantId) => getControl().noteUse(tenantId),
    log,
    clock,
  });
  await gateway.listen().catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE' || error.code === 'EACCES')
      throw mainErrors.FH_PORT_TAKEN({ detail: `${config.host}:${config.port} (${error.code})`, cause: error });
    throw error;
  });
  child.drop();

  let gatewayKey: ReturnType<typeof createGatewayKey> | undefined;
  const key = () => {
    gatewayKey ??= createGatewayKey(folders.tls);
    return gatewayKey;
  };
  control = connectToControl({
    socketPath: folders.linkSocket,
    publicKeyPem: (await key()).publicKeyPem,
    metrics: () => gateway.metrics.json(),
    clock,
    log,
  });
  const { directory, liveEvents } = control;
  shutdown.add('link to control', 6_000, () => getControl().stop());

  const databases = createTenantDatabases({
    directory,
    budget: Math.max(1, Math.floor(config.backendBudget / config.workers)),
    perTenantMax: config.backendsPerTenant,
    statementTimeoutMs: config.statementTimeoutMs,
    lockTimeoutMs: 10_000,
    waitTimeoutMs: 10_000,
    settleMs: 3_000,
    log,
    clock,
  });
  shutdown.add('tenant databases', 10_000, () => databases.stop());
  gateway.metrics.gauge(
    'freehold_tenant_backends',
    "Connections to tenants' databases, requests waiting for one, and the budget.",
    () => ({
      ...databases.stats(),
    }),
  );
  const accessOf = (tenantId: TenantId) => directory.getAccess(tenantId);
  // Its worker thread is started by the first message.
  const saml = createSamlEngine({ clock, log });
  shutdown.add('judge of single sign-on messages', 5_000, () => saml.stop());
  const identity = createIdentity({
    databases,
    cookieKeyOf: async (tenantId) => (await accessOf(tenantId)).cookieKey,
    knownCookieKeyOf: (tenantId) => directory.knownAccess(tenantId)?.cookieKey,
    factorsKeyOf: async (tenantId) => (await accessOf(tenantId)).factorsKey,
    queueMail: (tenantId, order) => getControl().queueMail(tenantId, order),
    rules,
    signOn: { outgoing, resolveTxt: createTxtResolver(config.dnsServers), saml },
    // All workers together hash as many passwords at once as there are cores.
    passwords: { concurrency: Math.max(1, Math.floor(availableParallelism() / config.workers)) },
    log,
    clock,
  });
  shutdown.add('last uses of sessions', 3_000, () => identity.settle());
  const identify = (request: FastifyRequest): HostedRequest => ({
    tenant: request.tenant,
    session: request.session ?? request.apiToken,
    unconfirmed: request.unconfirmed,
    requestId: request.id,
    signal: request.signalAbort,
    // By its id: the key that the stream began with may have been replaced meanwhile, as it should.
    isStillSignedIn: () => isStillSignedIn(identity, request),
  });
  const hosting = createHosting({
    apps: program.apps,
    pages,
    databases,
    files: await createTenantFiles({
      root: folders.files,
      databases,
      filesKeyOf: async (tenantId) => (await accessOf(tenantId)).filesKey,
      clock,
      // Without backups there are no regions.
      ...(config.backups === 'on' && { keepInRegions: (...content) => getControl().keepFile(...content) }),
    }),
    users: {
      listUsers: async (tenantId) => (await identity.listUsers(tenantId)).filter((user) => user.state === 'active'),
    },
    identify,
    publishEvent: (tenantId, event) => liveEvents.publishToOthers(tenantId, event),
    urlOf,
    clock,
    log,
  });
  const processes = createAppProcesses({ socketPath: folders.appsSocket, log });
  shutdown.add('link to the keeper of apps', 2_000, () => processes.stop());
  const proxied = createProxied({
    processes,
    identify,
    identityKeyOf: async (tenantId) => (await accessOf(tenantId)).identityKey,
    urlOf,
    findRoute: (host) => directory.findRoute(host),
    traffic: {
      noteWritten: (tenantId) => getControl().noteWritten(tenantId),
      record: (...answer) => getControl().recordTraffic(...answer),
    },
    clock,
    log,
  });
  liveEvents.onRemote((tenantId, event) => hosting.deliverEvent(tenantId, event));
  directory.onChanging((tenantId) => gateway.settle(tenantId));
  // A tenant that is no longer open loses its event streams and background work before control goes on.
  directory.onChanged((tenantId) => hosting.evict(tenantId));
  directory.onChanged((tenantId) => proxied.recheck(tenantId));
  directory.onChanged(async (tenantId) => identity.forgetPresumed(tenantId));
  directory.onFlush(async () => identity.forgetPresumed());
  const provider = createProvider({
    databases,
    factorsKeyOf: async (tenantId) => (await accessOf(tenantId)).factorsKey,
    clock,
  });
  const parts = () => ({ identity, hosting, proxied, provider });

  await gateway.ready();
  shutdown.add('gateway', drainDeadlineMs + 1_000, () => gateway.stop({ deadlineMs: drainDeadlineMs }));
  child.ready({ port: config.port });
}

async function isStillSignedIn(
  identity: Pick<ReturnType<typeof createIdentity>, 'isApiTokenLive' | 'isSessionLive' | 'isSessionThere'>,
  { tenant, session, apiToken }: FastifyRequest,
): Promise<boolean> {
  if (apiToken) return identity.isApiTokenLive(tenant.tenantId, apiToken.tokenId);
  if (!session) return false;
  // Where it comes to a route at all, that route is for enrolling.
  return session.mustEnrol
    ? identity.isSessionThere(tenant.tenantId, session.sessionId)
    : identity.isSessionLive(tenant.tenantId, session.sessionId);
}
