import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Env } from './context.ts';
import { cliErrors } from './errors.ts';

/** What `up` writes down about a running installation. */
export interface RunningInstallation {
  readonly dataDir: string;
  readonly commandSocket: string;
  readonly pid: number;
  readonly gateway: string;
  readonly console: string;
}

/** The installation that a command is meant for: by folder, or the only one that runs here. */
export function findInstallation(
  dataDir: string | undefined,
  env: Env,
): Pick<RunningInstallation, 'dataDir' | 'commandSocket'> {
  const wanted = dataDir ?? env.FREEHOLD_DATA;
  const running = listInstallations(instancesFolder(env));
  if (wanted) {
    const folder = resolve(wanted);
    const found = running.find((instance) => instance.dataDir === folder);
    if (found) return found;
    const commandSocket = join(folder, 'run/control/command.sock');
    if (existsSync(commandSocket)) return { dataDir: folder, commandSocket };
    throw cliErrors.FH_NOT_RUNNING({
      detail: `nothing runs on ${folder}`,
      hint: `Start it with: ./freehold up --data ${folder}`,
    });
  }
  const [only, ...others] = running;
  if (!only) throw cliErrors.FH_NOT_RUNNING();
  if (others.length > 0) {
    const list = running.map((instance) => `  --data ${instance.dataDir}   ${instance.gateway}`).join('\n');
    throw cliErrors.FH_SEVERAL_RUNNING({ hint: `Say which one:\n${list}` });
  }
  return only;
}

/** Where `up` writes down what runs: one JSON file per installation, only for the user that started it. */
export function instancesFolder(env: Env): string {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return '/run/freehold/instances';
  return env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'freehold/instances') : `/tmp/freehold-${uid}/instances`;
}

/** Installations whose supervisor lives. */
export function listInstallations(folder: string): RunningInstallation[] {
  if (!isOwn(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      const instance = readInstance(join(folder, name));
      return instance && isAlive(instance.pid) ? [instance] : [];
    });
}

/** Below /tmp somebody else may have made it first, to have our commands talk to a socket of theirs. */
function isOwn(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === (process.getuid?.() ?? found.uid) && (found.mode & 0o022) === 0;
}

/** undefined: not a record, perhaps half-written by a crash. */
function readInstance(path: string): RunningInstallation | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<RunningInstallation>;
    const { dataDir, commandSocket, pid, gateway, console } = value;
    if (typeof dataDir !== 'string' || typeof commandSocket !== 'string' || !Number.isInteger(pid)) return undefined;
    return { dataDir, commandSocket, pid: pid!, gateway: String(gateway), console: String(console) };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
