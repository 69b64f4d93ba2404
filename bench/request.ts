/**
 * What does everything between the socket and the row cost? A signed-in request that reads one row over TLS, of many tenants with skewed
 * popularity, against a bare Fastify + pg app on the same server in the same run: rounds in turn, one process each, the same load.
 *
 *   node bench/request.ts [--tenants 200] [--rounds 6] [--seconds 5] [--connections 32] [--zipf 1] [--per-connection 100]
 *                         [--log-levels warn,info] [--seed 1]
 */
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BarePeer, makeBareTable, type Note, startBareApp } from './bare-peer.ts';
import { type Installation, inParallel, newDataFolder, root, startInstallation } from './installation.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import { cpuMs, findProcesses, userCpuMs } from './processes.ts';
import { median, type Row, report, round } from './report.ts';
import { controlTarget, withServer } from './server.ts';

export interface RequestBenchOptions {
  readonly tenants: number;
  readonly notesPerTenant: number;
  readonly rounds: number;
  readonly seconds: number;
  /** At the beginning of each round. */
  readonly warmUpSeconds: number;
  /** Before the rounds, per side: time for the compiler to see what is hot, on both sides. */
  readonly settleSeconds: number;
  readonly connections: number;
  readonly zipf: number;
  readonly requestsPerConnection: number;
  /** One series of rounds per level: the bare app logs nothing. */
  readonly logLevels: readonly string[];
  readonly seed: number;
}

interface Round extends LoadResult {
  /** Processor time per request, in microseconds. */
  readonly serverCpuUs: number;
  readonly serverUserCpuUs: number;
  readonly databaseCpuUs: number;
}

export interface RequestBenchResult {
  readonly rows: readonly Row[];
  readonly rounds: readonly { logLevel: string; bare: Round; freehold: Round }[];
  readonly facts: object;
}

interface Tenant {
  readonly name: string;
  readonly cookie: string;
  readonly notes: readonly Note[];
}

export async function runRequestBench(options: RequestBenchOptions): Promise<RequestBenchResult> {
  const dataDir = newDataFolder();
  let installation: Installation | undefined;
  let bare: BarePeer | undefined;
  try {
    installation = await start(dataDir, 'warn');
    const tenants = await makeTenants(installation, options);
    const target = await makeBareTable(
      dataDir,
      tenants.flatMap((tenant) => tenant.notes),
    );
    const postgres = await withServer(controlTarget(dataDir), async (client) => {
      const { rows } = await client.query('SHOW server_version');
      return rows[0].server_version as string;
    });
    const rounds: { logLevel: string; bare: Round; freehold: Round }[] = [];
    for (const logLevel of options.logLevels) {
      await installation.stop();
      installation = await start(dataDir, logLevel);
      await installation.betweenJobs();
      bare = await startBareApp(installation, target, `${tenants[0]!.name}.localhost`);
      rounds.push(...(await runRounds(installation, bare, tenants, logLevel, options)));
      await bare.stop();
      bare = undefined;
    }
    return {
      rows: summarise(rounds, options),
      rounds,
      facts: { options, peer: 'Fastify + pg, bare-app.ts', postgres },
    };
  } finally {
    await bare?.stop();
    await installation?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function start(dataDir: string, logLevel: string): Promise<Installation> {
  const settings = { FREEHOLD_WORKERS: '1', FREEHOLD_LOG_LEVEL: logLevel, FREEHOLD_PREPARED_DATABASES: '0' };
  return startInstallation(settings, dataDir);
}

async function makeTenants(installation: Installation, options: RequestBenchOptions): Promise<Tenant[]> {
  const tenants: Tenant[] = [];
  await inParallel(Array.from({ length: options.tenants }), 4, async (_, index) => {
    const name = `bench-${index}`;
    const { invitationUrl } = await installation.createTenant(name, 'sample');
    const cookie = await installation.signUp(name, invitationUrl, 'violet harbour 47 lantern quince');
    const notes: Note[] = [];
    for (let count = 0; count < options.notesPerTenant; count++) {
      const body = { text: `Note ${count} of tenant ${index}: water the plants, order paper, call back` };
      const made = await installation.call<{ id: string }>(name, 'POST', '/api/notes', cookie, body);
      const read = await installation.call<Note>(name, 'GET', `/api/notes/${made.json.id}`, cookie);
      if (read.status !== 200) throw new Error(JSON.stringify(read.json));
      notes.push(read.json);
    }
    tenants[index] = { name, cookie, notes };
  });
  return tenants;
}

async function runRounds(
  installation: Installation,
  bare: BarePeer,
  tenants: readonly Tenant[],
  logLevel: string,
  options: RequestBenchOptions,
) {
  const { gateways } = findProcesses(installation.child.pid!);
  const paths = (tenant: Tenant) => tenant.notes.map((note) => `/api/notes/${note.id}`);
  const plan = (side: Pick<LoadPlan, 'port' | 'targets'>, seed: number): LoadPlan => ({
    ...side,
    seed,
    ca: installation.ca,
    zipf: options.zipf,
    connections: options.connections,
    requestsPerConnection: options.requestsPerConnection,
    warmUpMs: options.warmUpSeconds * 1_000,
    durationMs: options.seconds * 1_000,
  });
  const sides = {
    bare: {
      pids: [bare.pid],
      side: { port: bare.port, targets: tenants.map((tenant) => ({ host: bare.host, paths: paths(tenant) })) },
    },
    freehold: {
      pids: gateways,
      side: {
        port: installation.port,
        targets: tenants.map((tenant) => ({
          host: `${tenant.name}.localhost`,
          paths: paths(tenant),
          cookie: tenant.cookie,
        })),
      },
    },
  };
  for (const { side } of Object.values(sides))
    await runLoadProcess({ ...plan(side, options.seed), warmUpMs: 0, durationMs: options.settleSeconds * 1_000 });
  const rounds: { logLevel: string; bare: Round; freehold: Round }[] = [];
  for (let index = 0; index < options.rounds; index++) {
    const results: Partial<Record<keyof typeof sides, Round>> = {};
    // ABBA: neither always goes first.
    for (const name of index % 2 ? (['freehold', 'bare'] as const) : (['bare', 'freehold'] as const)) {
      const { pids, side } = sides[name];
      const userMs = userCpuMs(pids);
      const [serverMs, databaseMs] = [cpuMs(pids), cpuMs(currentPostgres(installation))];
      const result = await runLoadProcess(plan(side, options.seed + index));
      const perRequestUs = (ms: number) => (ms * 1_000) / result.allRequests;
      results[name] = {
        ...result,
        serverUserCpuUs: perRequestUs(userCpuMs(pids) - userMs),
        serverCpuUs: perRequestUs(cpuMs(pids) - serverMs),
        databaseCpuUs: perRequestUs(cpuMs(currentPostgres(installation)) - databaseMs),
      };
      if (result.failures > 0) throw new Error(`${name}: ${result.failures} answers were wrong`);
    }
    const { bare: bareRound, freehold } = results as Record<keyof typeof sides, Round>;
    rounds.push({ logLevel, bare: bareRound, freehold });
    console.error(
      `${logLevel} ${index + 1}/${options.rounds}: bare ${Math.round(bareRound.perSecond)}/s, freehold ${Math.round(freehold.perSecond)}/s`,
    );
  }
  return rounds;
}

function currentPostgres(installation: Installation): readonly number[] {
  return findProcesses(installation.child.pid!).postgres;
}

/** The load in a process of its own; the plan holds cookies, so the file is closed to others. */
async function runLoadProcess(plan: LoadPlan): Promise<LoadResult> {
  const file = join(tmpdir(), `fh-load-${process.pid}.json`);
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 });
  try {
    const child = spawn(process.execPath, [join(root, 'bench/load.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return JSON.parse(await text(child.stdout));
  } finally {
    rmSync(file);
  }
}

function summarise(rounds: RequestBenchResult['rounds'], { logLevels }: RequestBenchOptions): Row[] {
  return logLevels.flatMap((logLevel) => {
    const own = rounds.filter((one) => one.logLevel === logLevel);
    const of = (side: 'bare' | 'freehold', key: keyof Round) => median(own.map((one) => one[side][key]));
    // Per round, so that a disturbance of the machine hits both sides of a ratio.
    const ratio = (key: keyof Round) => median(own.map((one) => one.freehold[key] / one.bare[key]));
    const row = (name: string, value: (key: keyof Round) => number): Row => ({
      [`log level ${logLevel}`]: name,
      'req/s': round(value('perSecond'), name === 'ratio' ? 2 : 0),
      'p50 ms': round(value('p50Ms')),
      'p99 ms': round(value('p99Ms')),
      'server CPU µs/req': round(value('serverCpuUs'), name === 'ratio' ? 2 : 0),
      'of it user mode': round(value('serverUserCpuUs'), name === 'ratio' ? 2 : 0),
      'database CPU µs/req': round(value('databaseCpuUs'), name === 'ratio' ? 2 : 0),
    });
    return [
      row('bare Fastify + pg', (key) => of('bare', key)),
      row('freehold', (key) => of('freehold', key)),
      row('ratio', ratio),
    ];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      tenants: { type: 'string', default: '200' },
      notes: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '1' },
      settle: { type: 'string', default: '20' },
      connections: { type: 'string', default: '32' },
      zipf: { type: 'string', default: '1' },
      'per-connection': { type: 'string', default: '100' },
      'log-levels': { type: 'string', default: 'warn,info' },
      seed: { type: 'string', default: '1' },
    },
  });
  const result = await runRequestBench({
    tenants: Number(values.tenants),
    notesPerTenant: Number(values.notes),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    warmUpSeconds: Number(values['warm-up']),
    settleSeconds: Number(values.settle),
    connections: Number(values.connections),
    zipf: Number(values.zipf),
    requestsPerConnection: Number(values['per-connection']),
    logLevels: values['log-levels'].split(','),
    seed: Number(values.seed),
  });
  report('request', result.rows, { ...result.facts, rounds: result.rounds });
}
