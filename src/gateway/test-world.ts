import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import multipart from '@fastify/multipart';
import type { FastifyPluginAsync } from 'fastify';
import { loadPage, openEventStream, servePage } from '#src/http/index.ts';
import type { Session } from '#src/identity/types.ts';
import { type CancelSignal, newId, silentLog, systemClock, type TenantId, type UserId } from '#src/kernel/index.ts';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';
import type { TenantRoute, TenantState } from '#src/tenants/types.ts';
import { createGateway, type Gateway, type GatewayOptions } from './gateway.ts';
import { createLiveEvents, type LiveEvents } from './live-events.ts';
import type { GatewayDirectory } from './types.ts';

/** A gateway on a free port with two tenants, acme and globex, whose users have the same ids and addresses. Real TLS, no database. */
export interface World {
  readonly gateway: Gateway;
  readonly port: number;
  readonly ca: string;
  readonly liveEvents: LiveEvents;
  readonly tenants: Map<string, TenantRoute>;
  setState(name: string, state: TenantState): void;
  /** Signs the user in; the same token may be good at one tenant and mean nothing at the other. */
  addSession(name: string, token: string, role?: Session['user']['role'], more?: Partial<Session>): void;
  /** The next certificates cannot be had: this is what control answers, so many times. */
  failCertificates(error: Error, times: number): void;
  /** From now on the directory answers only after this. */
  holdRoutes(until: Promise<void>): void;
  /** Resolves requests to /api/slow. */
  releaseSlow(): void;
  readonly slowSignals: CancelSignal[];
  readonly uploads: { bytes: number; ended: boolean }[];
  readonly asked: { authenticate: number; findRoute: string[] };
  request(options: RequestOptions): Promise<Answer>;
  /** Sends these bytes over TLS (or plain) and gives back everything that came until the end of the connection. */
  raw(bytes: string, options?: { servername?: string; plain?: boolean; tls?: ConnectionOptions }): Promise<string>;
}

export interface RequestOptions {
  readonly tenant?: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookie?: string;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  json(): Record<string, unknown>;
}

const sameUserId = newId('usr');

/** `identity`: of its port what there is besides, or in place of, what the world has. */
export type WorldOptions = Omit<Partial<GatewayOptions>, 'identity'> & {
  readonly identity?: Partial<GatewayOptions['identity']>;
};

export async function startWorld(t: TestContext, { identity: more, ...options }: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'fh-gateway-'));
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain: 'localhost' });
  const { privateKeyPem, publicKeyPem } = await createGatewayKey(join(folder, 'tls'));
  await mkdir(join(folder, 'page', 'assets'), { recursive: true });
  await writeFile(
    join(folder, 'page', 'index.html'),
    '<!doctype html><title>page</title><body><script nonce="__NONCE__"></script></body>',
  );
  await writeFile(join(folder, 'page', 'assets', 'index-AbCd1234.js'), 'export {};');
  const page = await loadPage(join(folder, 'page'));

  const tenants = new Map<string, TenantRoute>();
  for (const name of ['acme', 'globex']) {
    const host = `${name}.localhost`;
    tenants.set(host, { tenantId: newId('ten'), name, title: name, state: 'active', app: 'desk', host });
  }
  let heldUntil = Promise.resolve();
  let certificateFailures = { error: new Error(), left: 0 };
  const asked = { authenticate: 0, findRoute: [] as string[] };
  const directory: GatewayDirectory = {
    findRoute: async (host) => {
      asked.findRoute.push(host);
      await heldUntil;
      return tenants.get(host);
    },
    findCertificate: async (host) => {
      if (certificateFailures.left-- > 0) throw certificateFailures.error;
      return host === 'localhost' || tenants.has(host) ? authority.issue(host, publicKeyPem) : undefined;
    },
  };

  const sessions = new Map<string, Session>();
  const addSession = (
    name: string,
    token: string,
    role: Session['user']['role'] = 'member',
    more: Partial<Session> = {},
  ) => {
    const { tenantId } = tenants.get(`${name}.localhost`)!;
    const user = { userId: sameUserId as UserId, email: 'ann@example.com', name: `Ann of ${name}`, role };
    sessions.set(`${tenantId} ${token}`, {
      sessionId: newId('ses'),
      user,
      createdAt: new Date(0),
      expiresAt: new Date(0),
      ...more,
    });
  };
  const identity: GatewayOptions['identity'] = {
    authenticate: async ({ tenant, headers }) => {
      asked.authenticate++;
      return sessions.get(`${tenant.tenantId} ${/__Host-freehold=([^;]+)/.exec(headers.cookie ?? '')?.[1]}`);
    },
    routes: async (app) => {
      app.get('/session', { config: { operation: 'session.get' } }, (request) => request.session!.user);
      app.post('/session', { config: { operation: 'session.create', withoutSession: 'allow' } }, (request, reply) =>
        reply.code(201).send({ tenant: request.tenant.name, body: request.body }),
      );
      app.get('/users', { config: { roles: ['owner', 'admin'] } }, () => []);
    },
    ...more,
  };

  const liveEvents = createLiveEvents(() => {});
  const slow: (() => void)[] = [];
  const slowSignals: CancelSignal[] = [];
  const uploads: World['uploads'] = [];
  const desk: FastifyPluginAsync = async (app) => {
    await app.register(multipart, { limits: { fileSize: 1_000_000, files: 1 } });
    app.get('/api/whoami', (request) => ({ tenant: request.tenant.tenantId, user: request.session?.user }));
    app.post('/api/items', (request) => request.body);
    app.get('/api/slow', async (request) => {
      slowSignals.push(request.signalAbort);
      await new Promise<void>((resolve, reject) => {
        slow.push(resolve);
        request.signalAbort.addEventListener('abort', () => reject(request.signalAbort.reason));
      });
      return { done: true };
    });
    app.post('/api/files', async (request) => {
      const upload = { bytes: 0, ended: false };
      uploads.push(upload);
      const part = await request.file();
      for await (const chunk of part!.file) upload.bytes += chunk.length;
      if (part!.file.truncated) throw Object.assign(new Error('too large'), { code: 'FST_REQ_FILE_TOO_LARGE' });
      upload.ended = true;
      return upload;
    });
    app.get('/api/events', (request, reply) => {
      const stream = openEventStream(request, reply, { signal: request.signalAbort });
      const end = liveEvents.subscribe(request.tenant.tenantId, (_tenantId, event) => stream.send(event));
      void stream.closed.then(end);
      streams.add(stream);
      return reply;
    });
    servePage(app, page, {
      except: ['/api/', '/-/'],
      pageConfig: { withoutSession: 'sign-in' },
      assetConfig: { withoutSession: 'allow' },
    });
  };
  const streams = new Set<ReturnType<typeof openEventStream>>();

  const gateway = createGateway({
    directory,
    identity,
    hosting: {
      plugin: (name) => {
        if (name !== 'desk') throw new Error('no such app');
        return desk;
      },
      stop: async () => {
        for (const stream of streams) stream.close();
      },
    },
    accountPage: page,
    domain: 'localhost',
    host: '127.0.0.1',
    port: 0,
    tls: () => ({ privateKeyPem, certificates: [] }),
    log: silentLog,
    clock: systemClock,
    ...options,
  });
  t.after(async () => {
    await gateway.stop({ deadlineMs: 200, lingerMs: 0 });
    await rm(folder, { recursive: true });
  });
  const { port } = await gateway.listen();
  await gateway.ready();
  const ca = authority.certificatePem;

  const raw: World['raw'] = (bytes, { servername = 'acme.localhost', plain = false, tls = {} } = {}) =>
    new Promise((resolve, reject) => {
      const socket = plain
        ? connectTcp(port, '127.0.0.1')
        : connectTls({ port, host: '127.0.0.1', servername, ca, ALPNProtocols: ['http/1.1'], ...tls });
      let text = '';
      socket.setEncoding('latin1');
      socket.setTimeout(8_000, () => socket.destroy(new Error(`no end of the connection; so far: ${text}`)));
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', (error) => (text === '' ? reject(error) : resolve(text)));
      socket.on('close', () => resolve(text));
      socket.write(bytes, 'latin1');
    });

  return {
    gateway,
    port,
    ca,
    liveEvents,
    tenants,
    asked,
    addSession,
    uploads,
    slowSignals,
    raw,
    setState: (name, state) => {
      const host = `${name}.localhost`;
      tenants.set(host, { ...tenants.get(host)!, state });
    },
    holdRoutes: (until) => {
      heldUntil = until;
    },
    failCertificates: (error, times) => {
      certificateFailures = { error, left: times };
    },
    releaseSlow: () => {
      for (const release of slow.splice(0)) release();
    },
    request: async ({ tenant = 'acme', path, method = 'GET', headers = {}, cookie, body }) => {
      const lines = Object.entries({
        ...(cookie ? { cookie: `__Host-freehold=${cookie}` } : {}),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
        ...headers,
      }).map(([name, value]) => `${name}: ${value}\r\n`);
      const servername = tenant === '' ? 'localhost' : `${tenant}.localhost`;
      const text = await raw(
        `${method} ${path} HTTP/1.1\r\nhost: ${servername}:${port}\r\nconnection: close\r\n${lines.join('')}\r\n${body ?? ''}`,
        // A stranger's name has no certificate, so the base domain's is shown.
        { servername, tls: { rejectUnauthorized: servername === 'localhost' || tenants.has(servername) } },
      );
      return parseAnswer(text);
    },
  };
}

export function parseAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  let body = rest.join('\r\n\r\n');
  if (headers['transfer-encoding'] === 'chunked') body = body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body,
    json: () => JSON.parse(body) as Record<string, unknown>,
  };
}

export function tenantIdOf(world: World, name: string): TenantId {
  return world.tenants.get(`${name}.localhost`)!.tenantId;
}
