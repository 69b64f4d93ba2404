import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { listInstallations } from '#src/cli/index.ts';
import { mainErrors } from './errors.ts';

/** What `up` tells the other commands of this machine, so that they find it without --data. */
export interface InstanceRecord {
  readonly dataDir: string;
  readonly commandSocket: string;
  readonly pid: number;
  readonly gateway: string;
  readonly console: string;
  readonly ca: string;
  readonly programDir: string;
}

export interface InstanceLock {
  publish(record: InstanceRecord): void;
  release(): void;
}

/**
 * Takes the data folder for this process. On Linux the lock is a name in the kernel's abstract socket space (unix(7)): it goes with the
 * process however it dies, so there is no stale lock and no race. Elsewhere it is a socket file that is tried before it is replaced.
 */
export async function lockInstance(dataDir: string, dir: string): Promise<InstanceLock> {
  const digest = createHash('sha256').update(realPathOf(dataDir)).digest('hex').slice(0, 24);
  const address = process.platform === 'linux' ? `\0freehold-${digest}` : join('/tmp', `freehold-${digest}.lock`);
  const server = await listen(address).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') throw mainErrors.FH_ALREADY_RUNNING({ detail: describeRunning(dataDir, dir) });
    throw error;
  });
  const file = join(dir, `${digest}.json`);
  return {
    publish: (record) => {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      writeFileSync(file, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    },
    release: () => {
      rmSync(file, { force: true });
      server.close();
    },
  };
}

/** One folder, one lock, whatever link leads to it. The folder itself may be yet to be made. */
function realPathOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realPathOf(parent), basename(path));
}

function describeRunning(dataDir: string, dir: string): string {
  const running = listInstallations(dir).find((record) => realPathOf(record.dataDir) === realPathOf(dataDir));
  return running
    ? `${dataDir} is in use by process ${running.pid} (${running.gateway})`
    : `${dataDir} is in use by another process that is starting or stopping`;
}

function listen(address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}
