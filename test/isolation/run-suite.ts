/** Starts run-probes.ts of a tree, the checkout itself or a changed copy, and gives back what came of it. */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openConnection, quoteIdentifier } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import type { Outcome } from './run-probes.ts';

export const repository = fileURLToPath(new URL('../../', import.meta.url));

export interface SuiteRun {
  /** Top folder of the tree. Default: the checkout. */
  readonly tree?: string;
  readonly product: 'one-process' | 'up';
  readonly groups: readonly string[];
  /** Ends with the first finding. */
  readonly stopAtFirst?: boolean;
  readonly deadlineMs: number;
  /** Folder for compiled code, shared by runs. */
  readonly compileCache?: string;
}

/** The probes of these groups, on a control database of their own that is dropped afterwards with all tenants. */
export async function runSuite(run: SuiteRun): Promise<Outcome> {
  const cluster = await startTestCluster();
  // Other users than the server's own must reach its socket; it is a server of the tests, with nothing in it.
  if (process.getuid?.() === 0) await chmod(cluster.socketDir, 0o711);
  const folder = mkdtempSync(join(tmpdir(), 'fh-isolation-'));
  await chmod(folder, 0o711);
  try {
    return await runProcess(run, cluster, folder);
  } finally {
    await dropTenants(cluster);
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runProcess(run: SuiteRun, cluster: TestCluster, folder: string): Promise<Outcome> {
  const { tree = repository, product, groups, stopAtFirst = false, deadlineMs, compileCache } = run;
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'w');
  const { control, superuser } = cluster;
  // Ends with this process, even when that is killed.
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig=TERM',
      process.execPath,
      '--disable-proto=delete',
      join(tree, 'test/isolation/run-probes.ts'),
      `--product=${product}`,
      `--groups=${groups.join(',')}`,
      `--cluster=${JSON.stringify({ control, superuser })}`,
      `--log=${logFile}`,
      ...(stopAtFirst ? ['--stop-at-first'] : []),
    ],
    {
      cwd: tree,
      stdio: ['ignore', 'pipe', log],
      env: {
        PATH: process.env.PATH,
        TMPDIR: folder,
        NODE_ENV: 'test',
        ...(process.env.FREEHOLD_PG_BIN ? { FREEHOLD_PG_BIN: process.env.FREEHOLD_PG_BIN } : {}),
        ...(compileCache ? { NODE_COMPILE_CACHE: compileCache } : {}),
      },
    },
  );
  closeSync(log);
  let text = '';
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(signal ?? status));
  });
  clearTimeout(timer);
  try {
    return JSON.parse(text) as Outcome;
  } catch {
    const error = `the probes ended with ${code}: ${readFileSync(logFile, 'utf8').slice(-2_000)}`;
    return { probes: 0, byGroup: {}, findings: [], error, milliseconds: {}, cpuMilliseconds: 0 };
  }
}

/** A product that ran in the probes' process has no chance to tidy up. */
async function dropTenants(cluster: TestCluster): Promise<void> {
  const names = await namesOfTenants(cluster);
  if (names.length === 0) return;
  const superuser = await openConnection(cluster.superuser, { applicationName: 'test' });
  try {
    for (const name of names) await superuser.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
    for (const name of names.flatMap((one) => [`${one}_m`, `${one}_p`, one]))
      await superuser.query(`DROP ROLE IF EXISTS ${quoteIdentifier(name)}`);
  } finally {
    await superuser.close();
  }
}

async function namesOfTenants({ superuser, control }: TestCluster): Promise<string[]> {
  const connection = await openConnection({ ...superuser, database: control.database }, { applicationName: 'test' });
  try {
    const [row] = await connection.query<{ found: boolean }>(
      `SELECT to_regclass('public.tenants') IS NOT NULL AS found`,
    );
    if (!row?.found) return [];
    const rows = await connection.query<{ name: string }>(
      `SELECT database_name AS name FROM tenants WHERE database_name IS NOT NULL UNION SELECT database_name FROM prepared_databases`,
    );
    return rows.map(({ name }) => name);
  } finally {
    await connection.close();
  }
}
