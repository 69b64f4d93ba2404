import { readFile } from 'node:fs/promises';
import { openShippedWal } from '#src/backups/index.ts';
import type { WalPlace } from '#src/clusters/index.ts';
import type { ClusterId } from '#src/kernel/index.ts';
import { readClusterKeys } from '#src/keys/index.ts';
import { createChild } from './child.ts';
import { type Env, parseConfig } from './config.ts';
import { mainErrors } from './errors.ts';
import { foldersOf } from './folders.ts';
import { createCalls } from './ipc-calls.ts';
import { clusterVariable } from './managed-process.ts';
import { openRegions, readRegionKeys } from './regions.ts';

const spoolDeadlineMs = 30_000;

/**
 * Opens what was shipped of the cluster's WAL, for a failover, and gives it to the supervisor over the IPC channel; ends with it. It runs as control's user, because it reads
 * the keys of clusters, and not as control, because that may not be there and needs a primary. The files of the spool, which only the shipper's user reads, it
 * gets from the supervisor, sealed.
 */
export async function runShippedWal(env: Env): Promise<void> {
  const config = parseConfig(env);
  const folders = foldersOf(config.dataDir, env[clusterVariable]);
  const child = createChild('control', config);
  const regionKeys = readRegionKeys(config.regions);
  child.drop();

  const keys = await readClusterKeys(folders.keys);
  const clusterId = (await readFile(folders.clusterIdFile, 'utf8')).trim() as ClusterId;
  if (!(await keys.clusters()).includes(clusterId))
    throw mainErrors.FH_START_FAILED({ detail: `the key store holds no key of the cluster ${clusterId}` });
  const calls = createCalls(process, {
    describe: (from: WalPlace, options: { withinMs: number }) => wal.describe(from, options),
    openSegment: (timeline: number, start: bigint) => wal.openSegment(timeline, start),
    openHistory: (timeline: number) => wal.openHistory(timeline),
  });
  const wal = openShippedWal({
    clusterId,
    findKey: async (keyId) => (await keys.openKey(keyId)).key,
    regions: await openRegions(config.regions, regionKeys),
    spool: {
      list: () => calls.call('listSpool', [], spoolDeadlineMs),
      read: (fileName) => calls.call('readSpool', [fileName], spoolDeadlineMs),
    },
  });
  child.ready({});
}
