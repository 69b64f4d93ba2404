import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ShippedExtent, ShippedWal } from '#src/clusters/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { ChildMessage } from './child.ts';
import type { Folders } from './folders.ts';
import { type Calls, createCalls } from './ipc-calls.ts';
import type { OsUsers } from './os-users.ts';
import { freehold } from './self.ts';

export interface ShippedWalReaderOptions {
  readonly folders: Folders;
  readonly users: OsUsers | undefined;
  /** Folder of the program, with a slash at the end. */
  readonly programDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Nothing is added to the spool from when it resolves until `resumeShipper`. Rejects never. */
  readonly stopShipper: () => Promise<void>;
  readonly resumeShipper: () => void;
  readonly log: Log;
}

const entry = 'src/main/cli.ts';
const startDeadlineMs = 60_000;
/** Beyond what the process itself waits for. */
const graceMs = 15_000;
const segmentDeadlineMs = 180_000;
const endDeadlineMs = 5_000;
/** A chunk is a megabyte at most, sealed a little more. */
const longestSpoolFileBytes = 64 * 2 ** 20;
const spoolFileName = /^[0-9a-z_]{1,64}$/;

/**
 * The supervisor's way to what was shipped: a process of its own opens it (`run shipped-wal`), because the supervisor holds no key and parses nothing. One per failover.
 * `isAlone`: there is nothing else to take the WAL from, so the shipper is stopped first, and what it has received is in the spool.
 */
export async function openShippedWalReader(
  options: ShippedWalReaderOptions,
  { isAlone }: { readonly isAlone: boolean },
): Promise<ShippedWal> {
  const { folders, users, log } = options;
  if (isAlone) await options.stopShipper();
  let child: ChildProcess;
  try {
    child = startProcess(options);
  } catch (error) {
    // A disk that takes no log must not end shipping as well.
    if (isAlone) options.resumeShipper();
    throw error;
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const calls = createCalls(child, {
    listSpool: async () => readdir(folders.spool),
    readSpool: async (fileName: string) => readSpoolFile(folders.spool, fileName, users?.shipper.uid),
  });
  const close = async (): Promise<void> => {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), endDeadlineMs);
    await exited;
    clearTimeout(killer);
    if (isAlone) options.resumeShipper();
  };
  try {
    await isReady(child);
  } catch (error) {
    await close();
    throw error;
  }
  log.info('looking at what was shipped', { processId: child.pid });
  return { ...methodsOf(calls), close };
}

function methodsOf(calls: Calls): Omit<ShippedWal, 'close'> {
  return {
    describe: (from, { withinMs }) => calls.call<ShippedExtent>('describe', [from, { withinMs }], withinMs + graceMs),
    openSegment: (timeline, start) => calls.call('openSegment', [timeline, start], segmentDeadlineMs),
    openHistory: (timeline) => calls.call('openHistory', [timeline], segmentDeadlineMs),
  };
}

function startProcess({ folders, programDir, env }: ShippedWalReaderOptions): ChildProcess {
  const fd = openSync(join(folders.log, 'shipped-wal.log'), 'a', 0o600);
  try {
    return spawn(freehold.node, [...freehold.nodeArgs, `${programDir}${entry}`, 'run', 'shipped-wal'], {
      cwd: '/',
      env,
      stdio: ['ignore', fd, fd, 'ipc'],
      serialization: 'advanced',
    });
  } finally {
    closeSync(fd);
  }
}

/** Rejects with the process's own words. */
async function isReady(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('the reader of what was shipped does not start')), startDeadlineMs);
  child.on('message', (message: ChildMessage) => {
    if (message.type === 'ready') resolve();
    if (message.type === 'failed') reject(new Error(message.text));
  });
  child.on('error', reject);
  child.on('exit', () => reject(new Error('the reader of what was shipped ended; its log says why')));
  await promise.finally(() => clearTimeout(timer));
}

/** Sealed bytes, which are passed on as they are. The folder is another user's: a link in it leads nowhere. */
async function readSpoolFile(
  folder: string,
  fileName: string,
  ownerId: number | undefined,
): Promise<Uint8Array | undefined> {
  if (!spoolFileName.test(fileName)) throw new TypeError('not the name of a file of the spool');
  const file = await open(join(folder, fileName), constants.O_RDONLY | constants.O_NOFOLLOW).catch(ignoreMissing);
  if (!file) return undefined;
  try {
    const facts = await file.stat();
    if (!facts.isFile() || facts.size > longestSpoolFileBytes || (ownerId !== undefined && facts.uid !== ownerId))
      throw new TypeError(`${fileName} of the spool is no file of the shipper`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
