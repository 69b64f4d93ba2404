/**
 * Many tenants on one machine: `node bench/fleet.ts [--tenants 2000]`. The same questions are asked at 20 tenants first, so that each figure is a ratio
 * to a small installation in the same run: rate of creation, memory, the first request of a cold tenant, connections against the budget while
 * every tenant is asked, a clean restart, and the start after everything was killed.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Installation, inParallel, newDataFolder, startInstallation } from './installation.ts';
import { findProcesses, pssBytes } from './processes.ts';
import { quantile, report, round } from './report.ts';

const few = 20;
const many = Number(process.argv[process.argv.indexOf('--tenants') + 1] || 2000) || 2000;
/** FREEHOLD_BACKENDS, what gateways may open together. */
const budget = 80;
/** One server alone unless asked for otherwise: 2,000 databases are 20 GB, and each copy of them as much again. */
const copies = {
  FREEHOLD_STANDBY: process.env.FREEHOLD_STANDBY ?? 'off',
  FREEHOLD_BACKUPS: process.env.FREEHOLD_BACKUPS ?? 'off',
};
const env = { FREEHOLD_BACKENDS: String(budget), ...copies };

const dataDir = newDataFolder();
const invitations = new Map<string, string>();
const rows: Record<string, string | number>[] = [];
let installation = await startInstallation(env, dataDir);
try {
  const small = await measure(few);
  const large = await measure(many);
  for (const [name, value] of Object.entries(large))
    rows.push({
      '': name,
      [`${few} tenants`]: round(small[name]!, 1),
      [`${many} tenants`]: round(value, 1),
      ratio: round(value / small[name]!),
    });
  report('fleet', rows, { few, many, budget, ...copies, peer: `the same installation with ${few} tenants` });
} finally {
  await installation.stop();
  rmSync(dataDir, { recursive: true, force: true });
}

async function measure(tenants: number): Promise<Record<string, number>> {
  const missing = Array.from({ length: tenants - invitations.size }, (_, index) => `t-${invitations.size + index + 1}`);
  const startedMs = performance.now();
  await inParallel(missing, 4, async (name) => {
    const { invitationUrl } = await installation.createTenant(name, 'desk');
    invitations.set(name, new URL(invitationUrl).pathname.replace('/-/', '/-/api/'));
    if (invitations.size % 100 === 0) process.stderr.write(`${invitations.size} tenants\n`);
  });
  const perSecond = missing.length / ((performance.now() - startedMs) / 1000);
  const cleanMs = await restart('SIGTERM');
  const idle = findProcesses(installation.child.pid!);
  const memoryMiB = pssBytes([idle.supervisor, ...idle.control, ...idle.gateways, ...idle.postgres]) / 1024 ** 2;
  const { firstMs, mostBackends } = await askAll();
  const crashMs = await restart('SIGKILL');
  return {
    'tenants created per second': perSecond,
    'memory of all processes, idle, MiB': memoryMiB,
    'first request of a cold tenant, p50 ms': quantile(firstMs, 0.5),
    'first request of a cold tenant, p99 ms': quantile(firstMs, 0.99),
    [`most connections to tenants (budget ${budget})`]: mostBackends,
    'clean restart, ms': cleanMs,
    'start after kill -9 of everything, ms': crashMs,
  };
}

/** Each tenant once, eight at a time: a page of an invitation, which reads the tenant's own database. */
async function askAll(): Promise<{ firstMs: number[]; mostBackends: number }> {
  const client = new pg.Client({
    ...JSON.parse(readFileSync(join(dataDir, 'control/database.json'), 'utf8')),
    host: join(dataDir, 'run/pg'),
  });
  await client.connect();
  let mostBackends = 0;
  let asking = true;
  const watching = (async () => {
    while (asking) {
      const {
        rows: [row],
      } = await client.query(
        "SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename LIKE 't\\_%' AND application_name = 'freehold gateway'",
      );
      mostBackends = Math.max(mostBackends, row.count);
    }
  })();
  const firstMs: number[] = [];
  await inParallel([...invitations], 8, async ([name, path]) => {
    const startedMs = performance.now();
    const { status } = await installation.call(name, 'GET', path);
    firstMs.push(performance.now() - startedMs);
    if (status !== 200) throw new Error(`${name} answered ${status}`);
  });
  asking = false;
  await watching;
  await client.end();
  if (mostBackends > budget) throw new Error(`${mostBackends} connections are more than the budget of ${budget}`);
  return { firstMs, mostBackends };
}

/** @returns from the command to its ready line */
async function restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
  await end(installation, signal);
  installation = await startInstallation(env, dataDir);
  return installation.startedInMs;
}

async function end({ child, stop }: Installation, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (signal === 'SIGTERM') return stop();
  const { supervisor, control, gateways, postgres } = findProcesses(child.pid!);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (const pid of [supervisor, ...postgres, ...control, ...gateways]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went with the one before it.
    }
  }
  await ended;
}
