/**
 * The product as `up` runs it, supervised by this process: same supervisor, same children, same users. The only difference is that dead
 * children are started again without the growing pause, so that a suite can kill control a hundred times.
 */
import { rmSync } from 'node:fs';
import { createLog } from '#src/kernel/index.ts';
import { parseConfig } from '#src/main/config.ts';
import { foldersOf } from '#src/main/folders.ts';
import { Shutdown } from '#src/main/shutdown.ts';
import { startAll } from '#src/main/supervisor.ts';
import { findCrashes, freePort, newFolder, until } from '../../acceptance/harness.ts';
import { command, type Installation } from './operator.ts';
import { findProcesses, pidsOf } from './processes.ts';

/** A name that nothing passes: its only effect is that control can be told later where to fail. */
export const armable = { FREEHOLD_FAILPOINTS: 'none=error' };

export interface Product extends Installation {
  stop(): Promise<void>;
}

export async function startProduct(env: Readonly<Record<string, string>> = {}): Promise<Product> {
  const dataDir = newFolder();
  const [port, consolePort] = [await freePort(), await freePort()];
  const shutdown = new Shutdown(createLog({ level: 'silent' }));
  const settings = {
    PATH: process.env.PATH,
    FREEHOLD_PG_BIN: process.env.FREEHOLD_PG_BIN,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    FREEHOLD_DATA: dataDir,
    FREEHOLD_PORT: String(port),
    FREEHOLD_CONSOLE_PORT: String(consolePort),
    FREEHOLD_LOG_LEVEL: 'info',
    // A second server for every suite costs more than it shows; the suites about it turn it on.
    FREEHOLD_STANDBY: 'off',
    ...env,
  };
  const stop = async (): Promise<void> => {
    await shutdown.run();
    const left = findProcesses(dataDir);
    const crashes = findCrashes(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
    // Only there when the data folder's own path is too long for a socket.
    const { controlRun } = foldersOf(dataDir);
    if (!controlRun.startsWith(dataDir)) rmSync(controlRun.replace(/\/control$/, ''), { recursive: true, force: true });
    if (left.length > 0) throw new Error(`left running: ${JSON.stringify(left)}`);
    if (crashes.length > 0) throw new Error(`a process crashed:\n${crashes.join('\n')}`);
  };
  try {
    await startAll({
      config: parseConfig(settings),
      env: settings,
      log: createLog({ level: 'silent' }),
      shutdown,
      say: () => {},
      longestRestartMs: 20,
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { dataDir, port, stop };
}

/** SIGKILL for control; resolves when its successor answers and has all its gateways. */
export async function killControl(at: Installation): Promise<void> {
  for (const pid of pidsOf(at.dataDir, 'control')) process.kill(pid, 'SIGKILL');
  await controlIsBack(at);
}

export async function controlIsBack(at: Installation, deadlineMs = 180_000): Promise<void> {
  await until(
    'control and its gateways to be back',
    async () => {
      const answer = await command(at, 'GET', '/api/health').catch(() => undefined);
      if (answer?.status !== 200) return false;
      const { gateways, clusters } = answer.json;
      return gateways.connected === gateways.expected && clusters.every((one: { state: string }) => one.state === 'up');
    },
    deadlineMs,
  );
}

/** Arms control's failpoints and forgets what was passed before. */
export async function arm(at: Installation, failpoints: string): Promise<void> {
  const { status, json } = await command(at, 'POST', '/api/failpoints', { arm: failpoints });
  if (status !== 200) throw new Error(`not armed: ${JSON.stringify(json)}`);
}

export async function failpointsOf(at: Installation): Promise<{ passed: string[]; hanging: string[] }> {
  return (await command(at, 'GET', '/api/failpoints')).json;
}
