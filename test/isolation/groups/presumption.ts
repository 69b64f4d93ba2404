/**
 * A request that begins before its session is confirmed: the gateway's app, identity and hosting together, on real databases. Whatever its
 * handler does, nothing is let out or changed for somebody whose session is over, and nobody is taken for somebody else.
 */
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type App, AppError, type RouteDefinition } from '#sdk';
import type { TenantDatabases } from '#src/databases/types.ts';
import { setPassage } from '#src/gateway/door.ts';
import { createLimitGuard } from '#src/gateway/limits.ts';
import { createTenantApp } from '#src/gateway/tenant-app.ts';
import { defaultLimits } from '#src/gateway/types.ts';
import { createHosting } from '#src/hosting/index.ts';
import { createHttpMetrics, loadPage } from '#src/http/index.ts';
import {
  createDemoUser,
  createIdentity,
  encodeSessionKey,
  hashToken,
  newToken,
  sessionCookieName,
} from '#src/identity/index.ts';
import { newId, silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { createTestTenants, type TestTenant } from '../../support/tenant.ts';
import type { Report } from '../report.ts';

interface Bench {
  readonly tenants: readonly [TestTenant, TestTenant];
  /** What handlers and publishing have done since it was emptied. */
  readonly effects: string[];
  /** A session of the tenant's own user, as a cookie; the token is the same at both tenants. */
  readonly cookies: ReadonlyMap<TenantId, string>;
  readonly databases: TenantDatabases;
  write(tenant: TestTenant, text: string): Promise<unknown>;
  /** Meanwhile nobody can be asked about sessions. */
  whileLocked<T>(tenant: TestTenant, work: () => Promise<T>): Promise<T>;
  get(tenant: TestTenant, path: string): Promise<{ status: number; body: string; headers: string }>;
  forget(tenant: TestTenant): void;
  /** Makes every later request of the tenant a presumed one. */
  warmUp(tenant: TestTenant): Promise<void>;
  stop(): Promise<void>;
}

export async function probePresumption(report: Report, cluster: TestCluster): Promise<void> {
  const bench = await startBench(cluster);
  try {
    await probeGuard(report, bench);
    await probeOver(report, bench);
    await probeSlowCheck(report, bench);
    await probeChanged(report, bench);
    await probeOtherTenant(report, bench);
    await probeCareless(report, bench);
  } finally {
    await bench.stop();
  }
}

const ways = ['reads', 'returns', 'throws', 'hangs', 'swallows', 'writes', 'publishes'] as const;

/** Every way to end a session, and everything that a handler may do meanwhile. */
async function probeOver(report: Report, bench: Bench): Promise<void> {
  const [tenant] = bench.tenants;
  const ends: Readonly<Record<string, readonly [end: string, undo: string]>> = {
    'signed out everywhere': [
      'UPDATE freehold.users SET epoch = epoch + 1',
      'UPDATE freehold.users SET epoch = epoch - 1',
    ],
    disabled: [`UPDATE freehold.users SET state = 'disabled'`, `UPDATE freehold.users SET state = 'active'`],
    'at its end': [
      `UPDATE freehold.sessions SET expires_at = now() - interval '1 s'`,
      `UPDATE freehold.sessions SET expires_at = now() + interval '1 h'`,
    ],
  };
  for (const [what, [end, undo]] of Object.entries(ends)) {
    for (const way of ways) {
      await bench.warmUp(tenant);
      await bench.write(tenant, end);
      bench.effects.length = 0;
      const answer = await bench.get(tenant, `/api/${way}`);
      const isRefused = answer.status === 401 && answer.body.includes('FH_SESSION_REQUIRED');
      report.check(`a session that was ${what} gets nothing of a handler that ${way}`, isRefused, answer.body);
      report.check(
        'no word of the handler',
        !/secret/.test(answer.body + answer.headers),
        answer.body + answer.headers,
      );
      report.check(`and the handler that ${way} has done nothing`, bench.effects.length === 0, bench.effects.join());
      await bench.write(tenant, undo);
    }
  }
  for (const way of ways.filter((one) => one !== 'hangs')) {
    await bench.warmUp(tenant);
    bench.effects.length = 0;
    const answer = await bench.get(tenant, `/api/${way}`);
    report.check('it did begin early', !bench.effects.includes('was checked first'));
    report.check(`a good session is answered by a handler that ${way}`, [200, 204, 409].includes(answer.status));
  }
}

/** A check that takes its time: the handler is not ahead of it. */
async function probeSlowCheck(report: Report, bench: Bench): Promise<void> {
  const [tenant] = bench.tenants;
  for (const way of ['writes', 'publishes']) {
    await bench.warmUp(tenant);
    bench.effects.length = 0;
    const answer = await bench.whileLocked(tenant, async () => {
      const answering = bench.get(tenant, `/api/${way}`);
      await waitFor('an effect', () => bench.effects.length > 0, { deadlineMs: 300, everyMs: 5 }).catch(() => {});
      const effects = bench.effects.join();
      report.check(`a handler that ${way} has done nothing before the check is answered`, effects === '', effects);
      return { answering };
    });
    const { status } = await answer.answering;
    report.check('afterwards it goes on', status === 204 && bench.effects.length === 1, `${status} ${bench.effects}`);
  }
}

/** The lease by itself. */
async function probeGuard(report: Report, { databases, tenants: [{ tenantId }] }: Bench): Promise<void> {
  const guard = {
    text: 'SELECT 1 AS one',
    values: [],
    accept: () => {
      if (refuses) throw new Error('refused');
    },
  };
  let refuses = false;
  const given: unknown[] = [];
  const read = () => databases.app.read(tenantId, async (db) => given.push(...(await db.query('SELECT 2'))), { guard });
  // Until both are prepared and sent as one.
  for (let round = 0; round < 4; round++) await read();
  given.length = 0;
  refuses = true;
  for (let round = 0; round < 4; round++) {
    const reading = read();
    const isRefused = await reading.then(
      () => false,
      (error: Error) => error.message === 'refused',
    );
    report.check('a lease whose guard refuses is refused', isRefused);
  }
  report.check('and has given out no row', given.length === 0);
}

/** Good, but not what it was: what the request sees is what the check has found. */
async function probeChanged(report: Report, bench: Bench): Promise<void> {
  const [tenant] = bench.tenants;
  await bench.warmUp(tenant);
  await bench.write(tenant, `UPDATE freehold.users SET name = 'Newly Named'`);
  const named = await bench.get(tenant, '/api/who');
  report.check('another name is seen at once', named.body.includes('Newly Named'), named.body);
  await bench.warmUp(tenant);
  await bench.write(tenant, `UPDATE freehold.users SET role = 'member'`);
  const refused = await bench.get(tenant, '/api/closed');
  report.check(
    'a role that was taken away is gone at once',
    refused.status === 403,
    `${refused.status} ${refused.body}`,
  );
  await bench.write(tenant, `UPDATE freehold.users SET role = 'owner'`);
}

/** The same token is good at both tenants, for different people. */
async function probeOtherTenant(report: Report, bench: Bench): Promise<void> {
  const [a, b] = bench.tenants;
  // Its cookie has been opened, and nothing is presumed of it.
  await bench.warmUp(b);
  bench.forget(b);
  await bench.warmUp(a);
  bench.effects.length = 0;
  const answer = await bench.get(b, '/api/who');
  report.check('the answer is for the own user', answer.body.includes('Olga of violet'), answer.body);
  const others = bench.effects.filter((effect) => effect.startsWith('ran as') && effect !== 'ran as Olga of violet');
  report.check("no handler begins as the other tenant's user", others.length === 0, others.join());
}

/** A route that answers although its session is not confirmed. */
async function probeCareless(report: Report, bench: Bench): Promise<void> {
  const [tenant] = bench.tenants;
  await bench.warmUp(tenant);
  const answer = await bench.get(tenant, '/api/careless');
  report.check('an answer before the check is held back', !answer.body.includes('secret'), answer.body);
}

async function startBench(cluster: TestCluster): Promise<Bench> {
  const testTenants = createTestTenants(cluster);
  const tenants = [await testTenants.createTestTenant('quartz'), await testTenants.createTestTenant('violet')] as const;
  const databases = testTenants.createDatabases();
  const accesses = new Map(tenants.map((tenant) => [tenant.tenantId, tenant.access]));
  const identity = createIdentity({
    databases,
    cookieKeyOf: (tenantId) => accesses.get(tenantId)!.cookieKey,
    knownCookieKeyOf: (tenantId) => accesses.get(tenantId)!.cookieKey,
    factorsKeyOf: (tenantId) => accesses.get(tenantId)!.factorsKey,
    log: silentLog,
  });
  const effects: string[] = [];
  const hosting = createHosting({
    apps: [appOf(effects)],
    databases,
    files: {} as never,
    users: { listUsers: async () => [] },
    identify: (request) => ({
      tenant: request.tenant,
      session: request.session,
      unconfirmed: request.unconfirmed,
      requestId: request.id,
      signal: request.signalAbort,
      isStillSignedIn: async () => true,
    }),
    publishEvent: (_tenantId, { type }) => void effects.push(`published ${type}`),
    urlOf: ({ host }) => `https://${host}`,
    clock: systemClock,
    log: silentLog,
  });
  const app = await createTenantApp('probe', {
    identity: {
      authenticate: (request) => {
        effects.push('was checked first');
        return identity.authenticate(request.tenant.tenantId, request.headers.cookie);
      },
      presume: (request) => identity.presume(request.tenant.tenantId, request.headers.cookie),
      routes: async () => {},
    },
    hosting: {
      plugin: (name) => async (fastify) => {
        await fastify.register(hosting.plugin(name));
        fastify.get('/api/careless', { config: { mayPresume: true } }, async () => 'secret');
      },
    },
    accountPage: await loadPage(new URL('../../../dist/account/', import.meta.url)),
    limits: defaultLimits,
    guard: createLimitGuard(defaultLimits),
    admitted: { enter: () => () => {} },
    metrics: createHttpMetrics(),
    noteUse: () => {},
    signalOf: () => new AbortController().signal,
    isOver: () => false,
    atEnd: () => {},
    clock: systemClock,
    log: silentLog,
  });
  const routes = new Map(tenants.map((tenant) => [tenant.name, routeOf(tenant)]));
  const server = createServer((request, response) => {
    const tenant = routes.get(String(request.headers['x-tenant']))!;
    setPassage(request, { to: 'tenant', tenant, origin: `https://${tenant.host}` });
    app.routing(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cookies = await makeSessions(tenants, databases);

  const get: Bench['get'] = (tenant, path) =>
    new Promise((resolve) => {
      const headers = { 'x-tenant': tenant.name, cookie: cookies.get(tenant.tenantId)! };
      const sent = httpRequest({ port, path, headers, timeout: 60_000 }, async (answer) => {
        let body = '';
        for await (const chunk of answer.setEncoding('utf8')) body += chunk;
        resolve({ status: answer.statusCode!, body, headers: answer.rawHeaders.join(' ') });
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer within a minute')));
      sent.on('error', (error) => resolve({ status: 0, body: '', headers: error.message }));
      sent.end();
    });
  return {
    tenants,
    effects,
    cookies,
    get,
    databases,
    whileLocked: (tenant, work) =>
      databases.platform.transact(tenant.tenantId, async (db) => {
        await db.query('LOCK TABLE freehold.sessions IN ACCESS EXCLUSIVE MODE');
        return work();
      }),
    write: (tenant, text) => databases.platform.transact(tenant.tenantId, (db) => db.query(text)),
    forget: ({ tenantId }) => identity.forgetPresumed(tenantId),
    warmUp: async (tenant) => {
      identity.forgetPresumed(tenant.tenantId);
      for (let round = 0; round < 2; round++) await get(tenant, '/api/reads');
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await app.close();
      await hosting.stop(100);
      await identity.settle();
      await testTenants.stop();
    },
  };
}

/** A user of each tenant's own, with the same id, and a session of the same token. */
async function makeSessions(tenants: Bench['tenants'], databases: TenantDatabases): Promise<Map<TenantId, string>> {
  const [token, userId, sessionId] = [newToken(), newId('usr'), newId('ses')];
  const cookies = new Map<TenantId, string>();
  for (const { tenantId, name, access } of tenants) {
    await databases.platform.transact(tenantId, async (db) => {
      const password = 'purple lantern drift 4711';
      const made = await createDemoUser(db, {
        email: 'olga@example.com',
        name: `Olga of ${name}`,
        role: 'owner',
        password,
      });
      await db.query('UPDATE freehold.users SET user_id = $1 WHERE user_id = $2', [userId, made]);
      await db.query(
        `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
         SELECT $1, $2, user_id, epoch, now() + interval '1 h', now() + interval '1 h' FROM freehold.users`,
        [sessionId, hashToken(token)],
      );
    });
    const key = encodeSessionKey({ token, sessionId, generation: 0 });
    const sealed = createSealer(access.cookieKey).seal(key, `${tenantId} ${sessionCookieName}`);
    cookies.set(tenantId, `${sessionCookieName}=${sealed.toString('base64url')}`);
  }
  return cookies;
}

function routeOf({ tenantId, name }: TestTenant): TenantRoute {
  return { tenantId, name, title: name, state: 'active', app: 'probe', host: `${name}.localhost` };
}

function appOf(effects: string[]): App {
  const handlers: Record<string, RouteDefinition['handler']> = {
    async reads(context) {
      const rows = await context.db.read((db) => db.query(`SELECT 'secret' AS word`));
      effects.push('was given rows');
      return { body: rows };
    },
    returns: async () => ({ status: 200, body: 'secret', headers: { etag: '"secret"' } }),
    async throws() {
      throw new AppError(409, 'PROBE_SECRET', 'secret');
    },
    hangs: () => new Promise(() => {}),
    async swallows(context) {
      await context.db.read((db) => db.query('SELECT 1')).catch(() => {});
      return { body: 'secret' };
    },
    async writes(context) {
      await context.db.transact((db) => db.query('CREATE TABLE IF NOT EXISTS written ()'));
      effects.push('has written');
      return {};
    },
    async publishes(context) {
      context.publish({ type: 'a', data: 1 });
      return {};
    },
    async who(context) {
      effects.push(`ran as ${context.user.name}`);
      return { body: context.user };
    },
    closed: async () => ({ body: 'secret' }),
  };
  return {
    manifest: { name: 'probe', title: 'Probe', version: '1.0.0', description: 'Handlers that begin early' },
    migrations: new URL('../../support/no-migrations/', import.meta.url),
    web: new URL('../../../dist/desk/', import.meta.url),
    routes: Object.entries(handlers).map(([name, handler]) => ({
      method: 'GET',
      path: `/api/${name}`,
      operation: `probe.${name}.get`,
      summary: 'Begins early',
      ...(name === 'closed' ? { roles: ['owner', 'admin'] } : {}),
      handler,
    })),
  };
}
