/**
 * What does the primary lose by being protected? pgbench (its TPC-B-like script, prepared) on two installations in turn: one with everything that is on by
 * default (standby, WAL to two regions), one with neither. The same settings otherwise, the same machine: standby, shipper and pgbench
 * itself share its cores with the primary.
 *
 *   node bench/throughput.ts [--rounds 6] [--seconds 20] [--clients 8] [--scale 20] [--rate 0] [--apart]
 *
 * `--rate N`: transactions a second that are asked for, instead of as many as go. Then it is their latency that tells.
 * `--apart`: primary and pgbench have the first core, everything else has the others, as on a machine with cores to spare.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Installation, newDataFolder, startInstallation } from './installation.ts';
import { withDescendants } from './processes.ts';
import { median, type Row, report, round } from './report.ts';
import { controlTarget, type Target, withServer } from './server.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '8' },
    scale: { type: 'string', default: '20' },
    rate: { type: 'string', default: '0' },
    apart: { type: 'boolean', default: false },
  },
});
const options = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])) as Record<
  keyof typeof values,
  number
>;

interface Side {
  readonly name: string;
  readonly installation: Installation;
  readonly target: Target;
  readonly perSecond: number[];
  readonly latencyMs: number[];
}

const sides: Side[] = [];
const folders: string[] = [];
try {
  sides.push(await begin('nothing on', { FREEHOLD_STANDBY: 'off', FREEHOLD_BACKUPS: 'off' }));
  sides.push(await begin('everything on', {}));
  for (const { installation } of sides) await installation.betweenJobs();
  if (options.apart) for (const { installation } of sides) setApart(installation);
  for (const side of sides) pgbench(side, 5);
  for (let index = 0; index < options.rounds; index++) {
    // ABBA: neither always goes first.
    for (const side of index % 2 ? [...sides].reverse() : sides) {
      const { perSecond, latencyMs } = pgbench(side, options.seconds);
      side.perSecond.push(perSecond);
      side.latencyMs.push(latencyMs);
    }
    const [off, on] = sides.map(({ perSecond }) => perSecond.at(-1)!) as [number, number];
    console.error(`${index + 1}/${options.rounds}: ${Math.round(off)}/s, ${Math.round(on)}/s, ${round(on / off)}`);
  }
  const [off, on] = sides as [Side, Side];
  // Per round, so that a disturbance of the machine hits both sides of a ratio.
  const ratioOf = (of: (side: Side) => number[]) => median(of(on).map((value, index) => value / of(off)[index]!));
  const rows: Row[] = sides.map(({ name, perSecond, latencyMs }) => ({
    pgbench: name,
    'transactions/s': Math.round(median(perSecond)),
    'mean latency ms': round(median(latencyMs)),
  }));
  rows.push({
    pgbench: 'ratio',
    'transactions/s': round(ratioOf(({ perSecond }) => perSecond)),
    'mean latency ms': round(ratioOf(({ latencyMs }) => latencyMs)),
  });
  report('throughput', rows, {
    options,
    peer: 'the same installation without standby and regions',
    pgbench: execFileSync('pgbench', ['--version']).toString().trim(),
    rounds: sides.map(({ name, perSecond, latencyMs }) => ({ name, perSecond, latencyMs })),
  });
} finally {
  for (const { installation } of sides) await installation.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

async function begin(name: string, env: Record<string, string>): Promise<Side> {
  const dataDir = newDataFolder();
  folders.push(dataDir);
  const installation = await startInstallation({ FREEHOLD_PREPARED_DATABASES: '0', ...env }, dataDir);
  const target = { ...controlTarget(dataDir), database: 'bench' };
  await withServer(controlTarget(dataDir), (client) => client.query('CREATE DATABASE bench'));
  run(target, ['--initialize', '--quiet', `--scale=${options.scale}`]);
  return { name, installation, target, perSecond: [], latencyMs: [] };
}

function setApart({ child, dataDir }: Installation): void {
  const primary = Number.parseInt(readFileSync(join(dataDir, 'pg/main/postmaster.pid'), 'utf8'), 10);
  const bind = (pids: readonly number[], cores: string) => {
    for (const pid of pids) execFileSync('taskset', ['-apc', cores, String(pid)], { stdio: 'ignore' });
  };
  bind(withDescendants(child.pid!), `1-${cpus().length - 1}`);
  bind(withDescendants(primary), '0');
}

function pgbench({ target }: Side, seconds: number): { perSecond: number; latencyMs: number } {
  const rate = options.rate > 0 ? [`--rate=${options.rate}`] : [];
  const shape = [`--client=${options.clients}`, '--jobs=1', '--protocol=prepared', '--no-vacuum'];
  const text = run(target, [...shape, `--time=${seconds}`, ...rate]);
  const figure = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  return { perSecond: figure(/^tps = ([\d.]+)/m), latencyMs: figure(/^latency average = ([\d.]+) ms/m) };
}

function run({ host, port, user, password, database }: Target, args: readonly string[]): string {
  const [program, first] = options.apart ? ['taskset', ['-c', '0', 'pgbench']] : ['pgbench', []];
  return execFileSync(
    program,
    [...first, `--host=${host}`, `--port=${port}`, `--username=${user}`, ...args, database],
    {
      env: { PATH: '/usr/bin:/bin', PGPASSWORD: password },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  ).toString();
}
