import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { Binaries } from './binaries.ts';
import { clusterErrors } from './errors.ts';
import { minimalEnvironment, withParentDeathSignal } from './run.ts';

export interface RunningTool {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Rejects with FH_CLUSTER_TOOL_FAILED unless the tool ended well. */
  readonly done: Promise<void>;
}

export interface ToolOptions {
  /** Settings of the tool's session, for example `default_transaction_read_only: 'off'` for pg_restore. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Aborting kills the tool. */
  readonly signal?: AbortSignal;
  /** Every line that the tool writes to standard error, as it comes: pg_basebackup passes the server's warnings on there. */
  readonly onMessage?: (line: string) => void;
}

/**
 * Starts one of PostgreSQL's own programs against one database. Where and as whom it connects goes by the environment:
 * arguments are readable by everybody on the machine.
 */
export async function startTool(
  binaries: Binaries,
  tool: 'pg_dump' | 'pg_restore' | 'psql' | 'pg_amcheck' | 'pg_basebackup',
  args: readonly string[],
  target: ConnectionTarget,
  { settings = {}, signal, onMessage }: ToolOptions = {},
): Promise<RunningTool> {
  const env: Record<string, string> = {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGDATABASE: target.database,
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGAPPNAME: `freehold ${tool}`,
    PGOPTIONS: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
      .join(' '),
    PGSSLMODE: target.tls === 'verify-full' ? 'verify-full' : 'disable',
    ...(target.tls === 'verify-full' && { PGSSLROOTCERT: target.ca?.file ?? systemRoots(binaries.major) }),
  };
  const [command, ...rest] = await withParentDeathSignal('KILL', [path.join(binaries.binDir, tool), ...args]);
  const child = spawn(command!, rest, { cwd: '/', env: minimalEnvironment(env), signal, killSignal: 'SIGKILL' });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-4096);
  });
  if (onMessage) createInterface({ input: child.stderr }).on('line', onMessage);
  child.stdin.on('error', () => {});
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, killedBy) => {
      if (exitCode === 0) resolve();
      else {
        const cause = new Error(`${tool} ended with ${killedBy ?? exitCode}: ${stderr.trim()}`);
        reject(clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: tool, cause }));
      }
    });
  });
  // Whoever started the tool may look at its output first and at `done` later.
  done.catch(() => {});
  return { stdin: child.stdin, stdout: child.stdout, done };
}

/** Certificate authorities of the system; libpq finds them by itself from 16 on. */
function systemRoots(major: number): string {
  return major >= 16 ? 'system' : '/etc/ssl/certs/ca-certificates.crt';
}
