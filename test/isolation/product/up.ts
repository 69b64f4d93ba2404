/** The product as users have it: `up` with its own PostgreSQL, control and two gateway workers that share a port. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { foldersOf } from '#src/main/folders.ts';
import { readDatabaseSecret } from '#src/main/secrets.ts';
import { sendCommand } from './command.ts';
import { findFreePort } from './ports.ts';
import type { Product } from './types.ts';

const entry = fileURLToPath(new URL('../../../src/main/cli.ts', import.meta.url));
const startDeadlineMs = 180_000;
const stopDeadlineMs = 600_000;
/** Workers share one port and the system picks one per connection: with so many new ones, all on one worker is 1 in 128. */
const connectionsToMeetBoth = 8;

export async function startUp(): Promise<Product> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fh-up-'));
  chmodSync(dataDir, 0o711);
  const [port, consolePort] = [await findFreePort(), await findFreePort()];
  const args = ['up', '--json', '--data', dataDir, '--port', String(port), '--console-port', String(consolePort)];
  // Ends with this process, even when that is killed.
  const child = spawn('setpriv', ['--pdeathsig=TERM', process.execPath, '--disable-proto=delete', entry, ...args], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: process.env.TMPDIR,
      ...(process.env.FREEHOLD_PG_BIN ? { FREEHOLD_PG_BIN: process.env.FREEHOLD_PG_BIN } : {}),
      FREEHOLD_WORKERS: '2',
      FREEHOLD_BACKENDS: '24',
      FREEHOLD_STANDBY: 'off',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs);
    await ended;
    clearTimeout(timer);
    rmSync(dataDir, { recursive: true, force: true });
  };
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), startDeadlineMs);
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', (code, signal) => reject(new Error(`up ended with ${signal ?? code}: ${errors}`)));
    });
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }

  const folders = foldersOf(dataDir);
  return {
    dataDir,
    publicPort: port,
    doors: Array.from({ length: connectionsToMeetBoth }, () => port),
    consolePort,
    ca: readFileSync(folders.caCertificate, 'utf8'),
    control: readDatabaseSecret(folders),
    superuser: undefined,
    ownsServer: true,
    command: (method, path, body) => sendCommand(folders.commandSocket, method, path, body),
    readLogs: () =>
      readdirSync(folders.log)
        .map((name) => readFileSync(join(folders.log, name), 'utf8'))
        .join(''),
    readServerLog: () => {
      const file = join(folders.clusterLogs, 'postgresql.log');
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    },
    stop,
  };
}
