import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLog, newId, systemClock, type TenantId } from '#src/kernel/index.ts';
import { type ControlGroups, findControlGroups } from './control-groups.ts';
import { createKeeper, type Keeper, type KeeperDeps } from './keeper.ts';
import { createLauncher, type Launcher, type LaunchRequest } from './launcher.ts';
import type { LauncherPort } from './sandboxes.ts';
import type { RunSpec } from './types.ts';

/** An app that answers, says what it sees, and misbehaves when asked to. */
const program = `
import { createServer } from 'node:http';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
const mode = process.env.MODE ?? '';
if (mode === 'dies') { console.error('cannot find the thing'); process.exit(3); }
if (mode === 'deaf') setInterval(() => {}, 1000);
else createServer((request, response) => {
  const url = new URL(request.url, 'http://app');
  if (url.pathname === '/health') return response.writeHead(mode === 'ill' ? 500 : 200).end();
  if (url.pathname === '/die') { console.log('dying, secret ' + process.env.SECRET); process.exit(9); }
  if (url.pathname === '/hang') { setTimeout(() => response.end('late'), Number(url.searchParams.get('ms'))); return; }
  if (url.pathname === '/flood') {
    const end = Date.now() + 1500;
    const on = () => (Date.now() < end ? process.stdout.write('\\n'.repeat(65536), on) : undefined);
    on();
    return response.end();
  }
  if (url.pathname === '/sh') {
    execFile('/bin/sh', ['-c', url.searchParams.get('run')], { timeout: 20000 }, (error, stdout, stderr) =>
      response.end(JSON.stringify({ code: error ? error.code ?? error.signal : 0, stdout, stderr })));
    return;
  }
  response.end(JSON.stringify({ pid: process.pid, env: process.env }));
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => { console.log('ending'); process.exit(0); });
`;

export interface World {
  readonly keeper: Keeper;
  readonly launcher: Launcher;
  readonly groups: ControlGroups | undefined;
  readonly folder: string;
  /** A tenant whose app runs as a user of its own. */
  tenant(change?: Partial<Omit<RunSpec, 'limits'>> & { readonly limits?: Partial<RunSpec['limits']> }): TenantId;
  specs: Map<TenantId, RunSpec>;
  /** What gateways answer when they are asked to let go. */
  readonly gateway: { isFree: boolean; ended: string[] };
  fetch(socketPath: string, path: string): Promise<{ status: number; text: string }>;
  /** Wakes it and runs a line of shell in it. */
  shell(tenantId: TenantId, run: string): Promise<{ code: unknown; stdout: string; stderr: string }>;
  stop(): Promise<void>;
}

let worlds = 0;
const digest = '0'.repeat(64);
const keeperUser = { uid: 64_001, gid: 64_001 };

/** A launcher and a keeper in one process, as root: what the supervisor and the keeper are together. */
export async function startWorld(change: Partial<KeeperDeps> = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'fh-apps-'));
  await chmod(folder, 0o711);
  const log = createLog({ level: 'silent' });
  const version = join(folder, 'apps', 'probe', digest);
  await mkdir(version, { recursive: true });
  await writeFile(join(version, 'app.mjs'), program);
  const logDir = join(folder, 'logs');
  const sockets = join(folder, 'pg');
  await mkdir(logDir);
  await mkdir(sockets);
  const parent = `freehold-test-${process.pid}-${++worlds}`;
  const groups = await findControlGroups(parent);
  const endings = new Map<number, () => void>();
  const launcher = createLauncher({
    bubblewrap: '/usr/bin/bwrap',
    users: { keeper: keeperUser, gatewayGid: 0, controlUid: 0, sharedGid: 64_002 },
    node: process.execPath,
    doorProgram: fileURLToPath(new URL('door.ts', import.meta.url)),
    pluginProgram: fileURLToPath(new URL('../plugins/runner.ts', import.meta.url)),
    appsDir: join(folder, 'apps'),
    dataDir: join(folder, 'data'),
    runDir: join(folder, 'box'),
    socketFoldersOf: () => [sockets],
    groups,
    onEnded: (id) => endings.get(id)?.(),
    log,
  });
  const port: LauncherPort = {
    ...launcher,
    async launch(request: LaunchRequest) {
      const { sandboxId } = await launcher.launch(request);
      return { sandboxId, ended: new Promise((resolve) => endings.set(sandboxId, resolve)) };
    },
  };
  const specs = new Map<TenantId, RunSpec>();
  const gateway = { isFree: true, ended: [] as string[] };
  const keeper = createKeeper({
    launcher: port,
    specOf: async (tenantId) => specs.get(tenantId)!,
    migrated: async () => undefined,
    hasFolder: (tenantId) => launcher.hasData(tenantId),
    layOut: async (tenantId) => {
      const { app, place } = specs.get(tenantId)!;
      const limits = { memoryBytes: 2 ** 28, cpus: 1, processes: 64 };
      const request = { kind: 'lay-out', owner: tenantId, app, digest, place, limits } as const;
      await launcher.prepare(request);
      await launcher.clear(request);
      await launcher.finishData(tenantId);
    },
    keepFolder: async () => undefined,
    letGo: async () => gateway.isFree,
    isLeft: async () => gateway.isFree,
    tellEnded: (_tenantId, instanceId) => void gateway.ended.push(instanceId),
    logDir,
    room: { memoryBytes: 2 ** 31, connections: 100 },
    measureFolder: (tenantId) => launcher.measureData(tenantId),
    graceMs: 3_000,
    firstBackOffMs: 50,
    clock: systemClock,
    log,
    ...change,
  });
  let places = 0;

  const world: World = {
    keeper,
    launcher,
    groups,
    folder,
    specs,
    gateway,
    tenant({ limits, ...rest } = {}) {
      const tenantId = newId('ten');
      specs.set(tenantId, {
        tenantId,
        app: 'probe',
        version: '1.0.0',
        digest,
        place: places++,
        migrate: undefined,
        start: ['/freehold/bin/node', 'app.mjs'],
        env: { PORT: '8080', HOME: '/data', PATH: '/usr/bin:/bin', SECRET: `s3cret-of-${tenantId}`, ...rest.env },
        port: 8080,
        host: 'probe.localhost',
        healthPath: '/health',
        startMs: 30_000,
        idleMs: 60_000,
        limits: { memoryBytes: 256 * 2 ** 20, cpus: 1, processes: 64, folderBytes: 2 ** 30, connections: 4, ...limits },
        ...Object.fromEntries(Object.entries(rest).filter(([name]) => name !== 'env')),
      });
      return tenantId;
    },
    fetch: (socketPath, path) =>
      new Promise((resolve, reject) => {
        const asked = request({ socketPath, path, agent: false }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('end', () => resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() }));
          response.on('error', reject);
        });
        asked.on('error', reject);
        asked.end();
      }),
    async shell(tenantId, run) {
      const { socketPath } = await keeper.enter(tenantId);
      return JSON.parse((await world.fetch(socketPath, `/sh?run=${encodeURIComponent(run)}`)).text);
    },
    async stop() {
      await keeper.stop();
      await launcher.killAll();
      await groups?.close();
      await rm(folder, { recursive: true });
    },
  };
  return world;
}
