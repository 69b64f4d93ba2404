import { type Clock, failpoint, type Log } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { type Loop, startLoop } from './loop.ts';
import {
  deletePrepared,
  insertPrepared,
  markOutdatedPrepared,
  markPreparedReady,
  selectPrepared,
  takePrepared,
} from './pool-sql.ts';
import type { ControlDatabase, DatabasesPort } from './ports.ts';

export interface DatabasePool {
  /** A prepared database of this version, or undefined. One statement decides, so no two tenants get the same. */
  take(tx: Queryable, app: string, version: string): Promise<string | undefined>;
  /** Starts filling in the background. */
  start(): void;
  stop(): Promise<void>;
}

export interface DatabasePoolDeps {
  readonly db: ControlDatabase;
  readonly databases: DatabasesPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly apps: readonly string[];
  /** Prepared databases per app; 0: none are kept. Default 4. */
  readonly size?: number;
  /** True while tenants are being made: the pool gives way, so that a burst is not slowed down by preparing for the next. */
  readonly isBusy: () => boolean;
}

const idlePauseMs = 5 * 60_000;
const busyPauseMs = 250;
const errorPauseMs = 10_000;
/** However long the burst, now and then one is made. */
const longestYieldMs = 5_000;

/**
 * Keeps a few databases ready, made one at a time. Their names are recorded before they are made and until they are dropped,
 * so a crash leaves nothing that nobody knows.
 */
export function createDatabasePool(deps: DatabasePoolDeps): DatabasePool {
  const { db, databases, clock, log, apps, size = 4 } = deps;
  let loop: Loop | undefined;
  let cleaned = false;
  let yieldingSince: number | undefined;

  async function fillOne(): Promise<number> {
    if (!cleaned) {
      // Nobody else makes databases: what is still `making` was left by a crash.
      for (const { name } of await selectPrepared(db, ['making', 'dropping'])) await drop(name);
      cleaned = true;
    }
    if (deps.isBusy()) {
      yieldingSince ??= clock.monotonicMs();
      if (clock.monotonicMs() - yieldingSince < longestYieldMs) return busyPauseMs;
    }
    yieldingSince = undefined;
    for (const app of size > 0 ? apps : []) {
      const { template, version } = await databases.ensureTemplate(app);
      for (const name of await markOutdatedPrepared(db, app, version)) await drop(name);
      const ready = (await selectPrepared(db, ['ready'])).filter((prepared) => prepared.app === app);
      if (ready.length < size) {
        await make(app, template, version);
        return 0;
      }
    }
    return idlePauseMs;
  }

  async function make(app: string, template: string, version: string): Promise<void> {
    const name = databases.newDatabaseName();
    await insertPrepared(db, { name, app, version }, new Date(clock.now()));
    await failpoint('pool.make.before');
    try {
      await databases.createDatabase(name, { template });
    } catch (error) {
      await drop(name);
      throw error;
    }
    await failpoint('pool.make.after');
    await markPreparedReady(db, name);
  }

  async function drop(name: string): Promise<void> {
    await databases.dropDatabase(name);
    await deletePrepared(db, name);
  }

  return {
    async take(tx, app, version) {
      const name = await takePrepared(tx, app, version);
      loop?.wake();
      return name;
    },
    start() {
      loop ??= startLoop('the pool of prepared databases', log, errorPauseMs, fillOne);
    },
    stop: async () => loop?.stop(),
  };
}
