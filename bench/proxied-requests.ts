/**
 * What does a request cost that the gateway passes on to an app that is a process? The same app, asked over TLS by itself and through one gateway worker (TLS there, a unix socket
 * behind it), once answering at once and once after 2 ms of work, as real apps have it. App, worker and load share the machine's cores in both cases.
 *
 *   node bench/proxied-requests.ts [--rounds 4] [--seconds 5] [--connections 16] [--work 2]
 */
import { execFile, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { createGateway } from '#src/gateway/index.ts';
import { createProxied } from '#src/hosting/index.ts';
import { newId, silentLog, systemClock } from '#src/kernel/index.ts';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import { median, type Row, report, round } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '16' },
    work: { type: 'string', default: '2' },
    role: { type: 'string', default: 'bench' },
    folder: { type: 'string', default: '' },
  },
});
const host = 'acme.localhost';

/** `/work/7` costs processor time first. */
const app: RequestListener = (request, response) => {
  if (request.url!.startsWith('/work/')) {
    const end = performance.now() + Number(values.work);
    while (performance.now() < end);
  }
  const body = JSON.stringify({ id: request.url!.slice(request.url!.lastIndexOf('/') + 1), text: 'x'.repeat(500) });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
};

async function keysIn(folder: string) {
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain: 'localhost' });
  const key = await createGatewayKey(join(folder, 'tls'));
  return { authority, key, certificate: await authority.issue(host, key.publicKeyPem) };
}

async function runApp(folder: string): Promise<number> {
  const { key, certificate } = await keysIn(folder);
  await new Promise<void>((resolve) => createServer(app).listen(join(folder, 'app.sock'), resolve));
  const direct = createTlsServer({ key: key.privateKeyPem, cert: certificate }, app);
  await new Promise<void>((resolve) => direct.listen(0, '127.0.0.1', resolve));
  return (direct.address() as AddressInfo).port;
}

async function runWorker(folder: string): Promise<number> {
  const { authority, key } = await keysIn(folder);
  const process: TenantRoute['process'] = {
    version: '1',
    identity: { kind: 'none', publicPaths: [] },
    healthPath: '/health',
    bodyBytes: 1_000_000,
  };
  const tenant: TenantRoute = {
    tenantId: newId('ten'),
    name: 'acme',
    title: 'acme',
    state: 'active',
    app: 'bench',
    host,
    process,
  };
  const entrance = { instanceId: 'one', socketPath: join(folder, 'app.sock'), becomeStream: () => {}, leave: () => {} };
  const proxied = createProxied({
    processes: { isAwake: () => true, visit: async () => entrance, forget: () => {} },
    identify: () => {
      throw new Error('nobody is signed in');
    },
    identityKeyOf: async () => Buffer.alloc(32),
    urlOf: () => gateway.urlOf(host),
    findRoute: async () => tenant,
    clock: systemClock,
    log: silentLog,
  });
  const gateway = createGateway({
    directory: {
      findRoute: async () => tenant,
      knownRoute: () => tenant,
      findCertificate: (name) => authority.issue(name, key.publicKeyPem),
    },
    identity: { authenticate: async () => undefined, routes: async () => {} },
    hosting: {
      plugin: () => {
        throw new Error('no app runs inside');
      },
      proxied: proxied.plugin,
    },
    accountPage: { assets: [], indexParts: [''] },
    domain: 'localhost',
    host: '127.0.0.1',
    port: 0,
    tls: () => ({ privateKeyPem: key.privateKeyPem, certificates: [] }),
    log: silentLog,
    clock: systemClock,
  });
  const { port } = await gateway.listen();
  await gateway.ready();
  return port;
}

async function load(folder: string, ca: string, port: number, path: string): Promise<LoadResult> {
  const plan: LoadPlan = {
    port,
    ca,
    targets: [{ host, paths: [1, 2, 3].map((id) => `${path}/${id}`) }],
    zipf: 0,
    connections: Number(values.connections),
    requestsPerConnection: 1_000,
    warmUpMs: 1_000,
    durationMs: Number(values.seconds) * 1_000,
    seed: 1,
  };
  const file = join(folder, 'plan.json');
  writeFileSync(file, JSON.stringify(plan));
  const run = promisify(execFile)(process.execPath, [fileURLToPath(new URL('load.ts', import.meta.url)), file]);
  return JSON.parse((await run).stdout) as LoadResult;
}

async function bench(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fh-bench-proxied-'));
  const children: ReturnType<typeof fork>[] = [];
  const start = async (role: string): Promise<number> => {
    const child = fork(fileURLToPath(import.meta.url), ['--role', role, '--folder', folder, '--work', values.work]);
    children.push(child);
    return new Promise((resolve, reject) => {
      child.once('message', (port) => resolve(port as number));
      child.once('exit', (code) => reject(new Error(`${role} ended with ${code}`)));
    });
  };
  try {
    const { authority } = await keysIn(folder);
    const ports = { direct: await start('app'), proxied: await start('worker') };
    const results = new Map<string, LoadResult[]>();
    for (let at = 0; at < Number(values.rounds); at++) {
      for (const path of ['/at-once', '/work']) {
        // ABBA: neither always goes first.
        const order = ['direct', 'proxied'] as const;
        for (const way of at % 2 ? [...order].reverse() : order) {
          const result = await load(folder, authority.certificatePem, ports[way], path);
          if (result.failures > 0) throw new Error(`${result.failures} answers were wrong`);
          const name = `${path} ${way}`;
          results.set(name, [...(results.get(name) ?? []), result]);
        }
      }
    }
    const rows: Row[] = ['/at-once', '/work'].flatMap((path) => {
      const of = (way: string) => results.get(`${path} ${way}`)!;
      const row = (way: string): Row => ({
        request: `${path} ${way}`,
        'per second': Math.round(median(of(way).map(({ perSecond }) => perSecond))),
        'p50 ms': round(median(of(way).map(({ p50Ms }) => p50Ms))),
        'p99 ms': round(median(of(way).map(({ p99Ms }) => p99Ms))),
      });
      const ratio = (read: (result: LoadResult) => number) =>
        round(median(of('proxied').map((result, at) => read(result) / read(of('direct')[at]!))));
      return [
        row('direct'),
        row('proxied'),
        {
          request: `${path} ratio`,
          'per second': ratio(({ perSecond }) => perSecond),
          'p50 ms': ratio(({ p50Ms }) => p50Ms),
          'p99 ms': ratio(({ p99Ms }) => p99Ms),
        },
      ];
    });
    report('proxied-requests', rows, {
      options: values,
      peer: 'the same app, asked over TLS without a gateway',
      rounds: Object.fromEntries(results),
    });
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true });
  }
}

if (values.role === 'bench') await bench();
else process.send!(values.role === 'app' ? await runApp(values.folder) : await runWorker(values.folder));
