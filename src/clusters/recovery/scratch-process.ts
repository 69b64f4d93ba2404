import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { waitFor } from '#src/kernel/index.ts';
import type { Binaries } from '../binaries.ts';
import { clusterErrors } from '../errors.ts';
import { minimalEnvironment, withParentDeathSignal } from '../run.ts';
import type { ScratchFolder } from './scratch-folder.ts';

/** A server that is there for one piece of work. */
export interface ScratchProcess {
  readonly processId: number;
  hasEnded(): boolean;
  /** The last lines of its log. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

const keptLines = 100;

/** Starts `postgres` on the folder with nothing but this configuration. It ends when this process does. */
export async function spawnScratchProcess(
  { dataDir, osUser }: ScratchFolder,
  { binDir }: Binaries,
  configFile: string,
) {
  const postgres = [path.join(binDir, 'postgres'), '-D', dataDir, '-c', `config_file=${configFile}`];
  const command = await withParentDeathSignal('INT', postgres);
  const child: ChildProcess = spawn(command[0]!, command.slice(1), {
    cwd: dataDir,
    env: minimalEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    ...(osUser && { uid: osUser.uid, gid: osUser.gid }),
  });
  await once(child, 'spawn');
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  });
  const closed = once(child, 'close');
  let ended = false;
  closed.then(() => {
    ended = true;
  });
  const server: ScratchProcess = {
    processId: child.pid!,
    hasEnded: () => ended,
    lines,
    async stop() {
      for (const [signal, deadlineMs] of [
        ['SIGINT', 60_000],
        ['SIGQUIT', 10_000],
        ['SIGKILL', 5_000],
      ] as const) {
        if (ended) return;
        child.kill(signal);
        await waitFor('the scratch server to end', () => ended, { deadlineMs, everyMs: 5 }).catch(() => {});
      }
      if (!ended) throw clusterErrors.FH_CLUSTER_STOP_FAILED({ detail: `process ${child.pid}` });
    },
  };
  return server;
}

/** It says so itself, in its own file. */
export async function isReady({ dataDir }: ScratchFolder, { processId }: ScratchProcess): Promise<boolean> {
  const lines = (await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return Number(lines[0]) === processId && lines[7]?.trim() === 'ready';
}
