/**
 * What does it cost that an app sleeps, and that its neighbour is hostile? A wake by the keeper, sandbox and health included, against the same program started bare and asked the same
 * way; memory of a tenant that is awake, against the bare program, and of one that sleeps; and answers of an app while another one burns processors, forks and writes, against a quiet time.
 * As root, with bubblewrap.
 *
 *   node --expose-gc bench/apps.ts [--rounds 10] [--seconds 5] [--startup 1500] [--sleepers 20]
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { TenantId } from '#src/kernel/index.ts';
import { startWorld, type World } from '#src/processes/world.fixture.ts';
import { withDescendants } from './processes.ts';
import { median, quantile, report, round } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '5' },
    /** Milliseconds of work before the app listens; real ones take one or two seconds. */
    startup: { type: 'string', default: '1500' },
    sleepers: { type: 'string', default: '20' },
  },
});
const mebibyte = 2 ** 20;
const startups = [0, Number(values.startup)];

const argsOf = (startupMs: number) => [
  '--import',
  `data:text/javascript,const end=performance.now()+${startupMs};while(performance.now()<end);`,
  'app.mjs',
];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const isHealthy = (port: number) =>
  new Promise<boolean>((resolve) => {
    const asked = request({ port, path: '/health', agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200));
    });
    asked.on('error', () => resolve(false)).end();
  });

/** @returns milliseconds until it was healthy, and what it takes then. */
async function startBare(world: World, startupMs: number): Promise<{ tookMs: number; bytes: number }> {
  const versions = join(world.folder, 'apps', 'probe');
  const port = await freePort();
  const beganMs = performance.now();
  const app = spawn(process.execPath, argsOf(startupMs), {
    cwd: join(versions, readdirSync(versions)[0]!),
    env: { PORT: String(port), HOME: '/tmp', PATH: '/usr/bin:/bin' },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => app.once('exit', resolve));
  while (!(await isHealthy(port))) await delay(5);
  const found = { tookMs: performance.now() - beganMs, bytes: shareOf([app.pid!]) };
  app.kill();
  await ended;
  return found;
}

/** Proportional set size: what several share counts once. */
function shareOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1_024;
    } catch {
      return sum;
    }
  }, 0);
}

function tenantOf(world: World, startupMs: number): TenantId {
  return world.tenant({ start: ['/freehold/bin/node', ...argsOf(startupMs)], idleMs: 1 });
}

async function sleep(world: World): Promise<void> {
  while (world.keeper.list().some(({ state }) => state !== 'asleep')) {
    await delay(5);
    await world.keeper.sleepIdle();
  }
}

async function measureWakes(world: World, startupMs: number) {
  const tenantId = tenantOf(world, startupMs);
  const wakes: number[] = [];
  const bare: number[] = [];
  const awakeBytes: number[] = [];
  const bareBytes: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = shareOf(withDescendants(process.pid).slice(1));
    const beganMs = performance.now();
    await world.keeper.enter(tenantId);
    wakes.push(performance.now() - beganMs);
    awakeBytes.push(shareOf(withDescendants(process.pid).slice(1)) - before);
    await sleep(world);
    const peer = await startBare(world, startupMs);
    bare.push(peer.tookMs);
    bareBytes.push(peer.bytes);
  }
  const what = `of an app that takes ${startupMs} ms to start`;
  return [
    rowOf(`wake ${what}, ms`, median(wakes), median(bare), '≤ 1.1'),
    rowOf(`memory awake ${what}, MiB`, median(awakeBytes) / mebibyte, median(bareBytes) / mebibyte, ''),
  ];
}

function rowOf(question: string, measured: number, peer: number, goal: string) {
  return { question, measured: round(measured), peer: round(peer), ratio: round(measured / peer), goal };
}

async function measureSleepers(world: World) {
  const heap = () => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  const count = Number(values.sleepers);
  for (let number = 0; number < count; number++) {
    await world.keeper.enter(tenantOf(world, 0));
    await sleep(world);
  }
  return {
    question: 'memory asleep, KiB of a tenant',
    measured: round((heap() - before) / count / 1_024),
    peer: '',
    ratio: '',
    goal: '',
  };
}

async function answersFor(world: World, tenantId: TenantId, seconds: number): Promise<number[]> {
  const { socketPath } = await world.keeper.enter(tenantId);
  const took: number[] = [];
  for (const endMs = performance.now() + seconds * 1_000; performance.now() < endMs; ) {
    const beganMs = performance.now();
    await world.fetch(socketPath, '/');
    took.push(performance.now() - beganMs);
  }
  return took;
}

const hostileActs = [
  'for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done',
  '(while :; do (sleep 0.01 &) ; done) 2>/dev/null &',
  '(while :; do head -c 50000000 /dev/zero >/data/x; done) &',
  '/freehold/bin/node -e "const a=[];for(;;)a.push(Buffer.alloc(1e6,1))" &',
  'wait',
].join('\n');

async function measureNeighbour(world: World) {
  const [neighbour, hostile] = [world.tenant(), world.tenant()];
  const seconds = Number(values.seconds);
  const [quiet, loud]: number[][] = [[], []];
  for (let turn = 0; turn < 2; turn++) {
    quiet!.push(...(await answersFor(world, neighbour, seconds)));
    // It is killed for it, if for nothing else after 20 s.
    const raging = world.shell(hostile, hostileActs).catch(() => undefined);
    loud!.push(...(await answersFor(world, neighbour, seconds)));
    await world.keeper.evict(hostile);
    await raging;
  }
  return rowOf('p99 of an app beside a hostile one, ms', quantile(loud!, 0.99), quantile(quiet!, 0.99), '≤ 2');
}

const world = await startWorld();
try {
  const rows: Record<string, string | number>[] = [];
  for (const startupMs of startups) rows.push(...(await measureWakes(world, startupMs)));
  rows.push(await measureSleepers(world), await measureNeighbour(world));
  report('apps', rows, { options: values, groups: world.groups?.version ?? 0 });
} finally {
  await world.stop();
}
