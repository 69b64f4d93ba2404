import { fileURLToPath } from 'node:url';
import { instancesFolder } from '#src/cli/index.ts';
import { createLog } from '#src/kernel/index.ts';
import { toStorageError } from '#src/objects/index.ts';
import { type Env, parseConfig } from './config.ts';
import type { Folders } from './folders.ts';
import { lockInstance } from './instance.ts';
import { printReady } from './ready.ts';
import { parseExternalDatabase, readSmtpServer } from './secrets.ts';
import { freehold } from './self.ts';
import { Shutdown } from './shutdown.ts';
import { startAll } from './supervisor.ts';

export interface UpOptions {
  readonly demo: boolean;
  readonly json: boolean;
  readonly data?: string;
  readonly port?: string;
  readonly consolePort?: string;
}

/** Runs the whole cloud on this machine until SIGTERM or Ctrl-C. */
export async function up(options: UpOptions, env: Env): Promise<void> {
  const merged: Env = {
    ...env,
    ...(options.data === undefined ? {} : { FREEHOLD_DATA: options.data }),
    ...(options.port === undefined ? {} : { FREEHOLD_PORT: options.port }),
    ...(options.consolePort === undefined ? {} : { FREEHOLD_CONSOLE_PORT: options.consolePort }),
  };
  const config = parseConfig(merged);
  // Before anything starts: only control uses them, and what is wrong with them is said here.
  parseExternalDatabase(merged);
  readSmtpServer(merged);
  const log = createLog({
    level: config.logLevel === 'info' ? 'warn' : config.logLevel,
    base: { process: 'supervisor', pid: process.pid },
  });
  const say = (text: string): void => {
    if (!options.json) process.stderr.write(`freehold: ${text}\n`);
  };
  let stopping = false;
  const onWaiting = (text: string): void => {
    const hint = stopping ? '; Ctrl-C ends it at once, and the next start replays them' : '';
    // A machine's people look for it in the log.
    if (options.json) log.warn(`${text}${hint}`);
    else say(`${text}${hint}`);
  };
  const shutdown = new Shutdown(log);
  const lock = await lockInstance(config.dataDir, instancesFolder(env));
  shutdown.add('lock', 1_000, async () => lock.release());

  const stop = (): void => {
    if (stopping) {
      shutdown.endAtOnce();
      process.exit(1);
    }
    stopping = true;
    say('stopping; press Ctrl-C again to stop at once');
    void shutdown.run().then(() => process.exit(0));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  const makeDemo = async (folders: Folders, gateway: string) => {
    // It knows hashes of passwords, and with them most of the product: nothing for a process that stays root.
    const { ensureDemo } = await import('./demo.ts');
    return ensureDemo(folders, (name) => gateway.replace('https://', `https://${name}.`), say);
  };

  try {
    const running = await startAll({ config, env: merged, log, shutdown, say, onWaiting });
    const gateway = `https://${config.domain}${config.publicPort === 443 ? '' : `:${config.publicPort}`}`;
    const console = `https://localhost:${config.consolePort}`;
    lock.publish({
      dataDir: config.dataDir,
      commandSocket: running.folders.commandSocket,
      pid: process.pid,
      gateway,
      console,
      ca: running.folders.caCertificate,
      programDir: fileURLToPath(freehold.root),
    });
    const demo = options.demo ? await makeDemo(running.folders, gateway) : [];
    printReady({
      json: options.json,
      gateway,
      console,
      ca: running.folders.caCertificate,
      setupUrl: running.setupUrl,
      recoveryKit: running.recoveryKit,
      demo,
    });
  } catch (error) {
    await shutdown.run();
    // A start that found no room says so.
    throw toStorageError(error);
  }
}
