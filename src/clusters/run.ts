import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import type { OsUser } from './os-user.ts';

export interface RunOptions {
  readonly osUser?: OsUser;
  readonly cwd: string;
  /** Added to a minimal environment; the place for PGPASSWORD, since arguments are readable by everybody on the machine. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** Last 8 KiB. */
  readonly stderr: string;
}

/** The environment of every PostgreSQL program: nothing of ours leaks in, messages are in English. */
export function minimalEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...extra };
}

/** Runs a program to its end. It is killed when this process dies (where the system can do that). */
export async function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const [command, ...rest] = await withParentDeathSignal('KILL', [program, ...args]);
  const child = spawn(command!, rest, {
    cwd: options.cwd,
    env: minimalEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: options.signal,
    killSignal: 'SIGKILL',
    ...(options.osUser && { uid: options.osUser.uid, gid: options.osUser.gid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-8192);
  });
  // A program that ends before it has read its input must not end us with EPIPE; its exit code tells.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, stdout, stderr };
}

let setprivPath: Promise<string | undefined> | undefined;

/**
 * Prefixes a command so that it gets `signal` when its parent dies (Linux with util-linux; `prctl(2)`, PR_SET_PDEATHSIG).
 * Elsewhere the command is unchanged, and the next start finds what was left over.
 */
export async function withParentDeathSignal(signal: 'INT' | 'KILL', command: readonly string[]): Promise<string[]> {
  setprivPath ??= findSetpriv();
  const setpriv = await setprivPath;
  return setpriv ? [setpriv, '--pdeathsig', signal, '--', ...command] : [...command];
}

async function findSetpriv(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  for (const candidate of ['/usr/bin/setpriv', '/bin/setpriv']) {
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return undefined;
}
