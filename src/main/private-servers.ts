import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ClusterPair, longestShutdownMs } from '#src/clusters/index.ts';
import { failpoint, type Log } from '#src/kernel/index.ts';
import type { EmbeddedClusterOptions } from './cluster.ts';
import { mainErrors } from './errors.ts';
import { ensureClusterFolders, type Folders, foldersOfCluster } from './folders.ts';
import { createCalls } from './ipc-calls.ts';
import type { ManagedProcess } from './managed-process.ts';
import { ensureServerUsers, type OsUsers } from './os-users.ts';
import { createServerPlaces } from './server-places.ts';

export interface PrivateServersOptions {
  readonly folders: Folders;
  readonly users: OsUsers | undefined;
  readonly openCluster: (
    options: Pick<EmbeddedClusterOptions, 'folders' | 'users'>,
    cluster: string,
  ) => Promise<ClusterPair>;
  /** A shipper of this cluster, not started; undefined: nothing is shipped. */
  readonly createShipper: (cluster: string) => ManagedProcess | undefined;
  readonly log: Log;
}

interface Entry {
  readonly pair: ClusterPair;
  readonly shipper: ManagedProcess | undefined;
}

/** What the supervisor does for control, over the channel between them. */
export const privateServerMethods = { make: 'makeServer', start: 'startServer', remove: 'removeServer' } as const;

const stopShipperMs = 13_000;

export type PrivateServers = ReturnType<typeof createPrivateServers>;

/**
 * The supervisor's side of PostgreSQL servers that are there for one tenant. Those of earlier runs are found by their folders. None is ever made but when control asks
 * for a new one: an empty server in place of one that is lost would look like a tenant without data.
 */
export function createPrivateServers({ folders, users, openCluster, createShipper, log }: PrivateServersOptions) {
  const entries = new Map<string, Promise<Entry>>();
  const places = createServerPlaces(folders);

  function open(cluster: string): Promise<Entry> {
    const present = entries.get(cluster);
    if (present) return present;
    const opening = (async () => {
      const own = foldersOfCluster(folders, cluster);
      const serverUsers = users && ensureServerUsers(users, places.slotOf(cluster));
      ensureClusterFolders(own, serverUsers);
      const pair = await openCluster({ folders: own, users: serverUsers }, cluster);
      try {
        await pair.start();
      } catch (error) {
        pair.endAtOnce();
        throw error;
      }
      const shipper = createShipper(cluster);
      // In the background: whoever waits for the server does not wait for a copy of it, or for its shipper.
      void Promise.all([pair.startStandby(), shipper?.start()]).catch((error) =>
        log.error('the standby or the shipper of a private server did not start', { cluster, error }),
      );
      return { pair, shipper };
    })();
    entries.set(cluster, opening);
    opening.catch(() => entries.delete(cluster));
    return opening;
  }

  async function make(cluster: string): Promise<null> {
    if (!places.has(cluster)) places.take(cluster);
    await failpoint('servers.make.noted');
    await open(cluster);
    return null;
  }

  async function start(cluster: string): Promise<null> {
    if (!places.has(cluster)) throw mainErrors.FH_SERVER_MISSING({ detail: places.homeOf(cluster) });
    await open(cluster);
    return null;
  }

  async function remove(cluster: string): Promise<null> {
    const entry = await entries.get(cluster)?.catch(() => undefined);
    await entry?.shipper?.stop(stopShipperMs);
    await entry?.pair.stop();
    entries.delete(cluster);
    const own = foldersOfCluster(folders, cluster);
    rmSync(own.databaseSecret, { force: true });
    rmSync(join(folders.run, cluster), { recursive: true, force: true });
    await failpoint('servers.remove.stopped');
    places.remove(cluster);
    return null;
  }

  const running = async (): Promise<Entry[]> =>
    (await Promise.allSettled(entries.values())).flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );

  return {
    /** Starts those that are there, side by side. One that does not start keeps nobody else from being served. */
    async startAll(): Promise<void> {
      const results = await Promise.allSettled(places.known().map((cluster) => open(cluster)));
      for (const result of results)
        if (result.status === 'rejected') log.error('a private server did not start', { error: result.reason });
    },
    /** Answers this control from now on, and nobody else. */
    serve(control: ChildProcess): void {
      createCalls(control, { makeServer: make, startServer: start, removeServer: remove });
    },
    /** undefined: it does not run. */
    find: async (cluster: string): Promise<ClusterPair | undefined> => (await entries.get(cluster))?.pair,
    async stopShippers(): Promise<void> {
      await Promise.all((await running()).map(({ shipper }) => shipper?.stop(stopShipperMs)));
    },
    async stop(): Promise<void> {
      await Promise.all((await running()).map(({ pair }) => pair.stop()));
    },
    async endAtOnce(): Promise<void> {
      for (const { pair } of await running()) pair.endAtOnce();
    },
    longestStopMs: longestShutdownMs + 110_000,
  };
}
