/**
 * The product in this very process: control and two gateway workers, each by the function that its process runs, on a server of the
 * tests. What is left out are the fences between operating-system users and the supervisor. A start costs a second or two, so that
 * every planted leak can have one of its own.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '#src/kernel/index.ts';
import { runControl } from '#src/main/control.ts';
import { ensureFolders, foldersOf } from '#src/main/folders.ts';
import { runGateway } from '#src/main/gateway.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { sendCommand } from './command.ts';
import { findFreePort } from './ports.ts';
import type { Product } from './types.ts';

export interface OneProcessOptions {
  readonly cluster: Pick<TestCluster, 'control' | 'superuser'>;
  /** File that standard error goes to: the log of all parts. */
  readonly logFile: string;
}

interface ReadyMessage {
  readonly type: string;
  readonly facts?: { readonly caCertificate?: string };
}

export async function startOneProcess({ cluster, logFile }: OneProcessOptions): Promise<Product> {
  // All parts as one user: giving up root would be for the whole process.
  Object.defineProperty(process, 'getuid', { value: () => 1 });
  const messages: ReadyMessage[] = [];
  Object.defineProperty(process, 'send', { value: (message: ReadyMessage) => messages.push(message) });

  const dataDir = mkdtempSync(join(tmpdir(), 'fh-one-'));
  chmodSync(dataDir, 0o711);
  const folders = foldersOf(dataDir);
  ensureFolders(folders, undefined);
  process.on('exit', () => rmSync(folders.run, { recursive: true, force: true }));
  const [first, second, consolePort] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const env = (port: number) => ({
    FREEHOLD_DATA: dataDir,
    FREEHOLD_PORT: String(port),
    FREEHOLD_PUBLIC_PORT: String(first),
    FREEHOLD_CONSOLE_PORT: String(consolePort),
    FREEHOLD_WORKERS: '2',
    FREEHOLD_BACKENDS: '24',
    FREEHOLD_PREPARED_DATABASES: '0',
    FREEHOLD_DATABASE_URL: urlOf(cluster.control),
  });
  const ready = (count: number) =>
    waitFor('the parts to be ready', () => messages.length >= count, { deadlineMs: 180_000, everyMs: 5 });
  await runControl(env(first));
  await ready(1);
  // One after the other: a socket has the number of its process in its name, and here both have the same.
  await runGateway(env(first));
  await runGateway(env(second));
  await ready(3);

  const started: Product = {
    dataDir,
    publicPort: first,
    doors: [first, second],
    consolePort,
    ca: String(messages.find(({ facts }) => facts?.caCertificate)?.facts?.caCertificate),
    control: cluster.control,
    superuser: cluster.superuser,
    ownsServer: false,
    command: (method, path, body) => sendCommand(folders.commandSocket, method, path, body),
    readLogs: () => readFileSync(logFile, 'utf8'),
    readServerLog: () => '',
    // Ends with the process.
    stop: async () => {},
  };
  return started;
}

export function urlOf({ host, user, password, database }: ConnectionTarget): string {
  return `postgres://${user}:${password}@localhost/${database}?host=${encodeURIComponent(host)}`;
}
