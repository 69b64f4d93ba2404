import {
  connectShipperLink,
  type Shipper,
  startShipper,
  toShippingNotice,
  toShippingReport,
} from '#src/backups/index.ts';
import { armFailpoints } from '#src/kernel/index.ts';
import { createChild } from './child.ts';
import { type Config, type Env, parseConfig } from './config.ts';
import { foldersOf } from './folders.ts';
import { clusterVariable } from './managed-process.ts';
import { openRegions, readRegionKeys } from './regions.ts';
import { readReplicationTarget } from './secrets.ts';

const reportEveryMs = 1_000;

/** The shipper of the cluster: WAL from the primary into every region. It holds the cluster's key, and no tenant's. */
export async function runShipper(env: Env): Promise<void> {
  const config: Config = parseConfig(env);
  armFailpoints(config.failpoints);
  const folders = foldersOf(config.dataDir, env[clusterVariable]);
  const child = createChild('shipper', config);
  const { log, shutdown } = child;
  const regionKeys = readRegionKeys(config.regions);
  child.drop();

  const target = readReplicationTarget(folders, 'shipper');
  const stopping = new AbortController();
  let shipper: Shipper | undefined;
  /** The newest that control has pushed, also while the shipper is being started. */
  let pushed: Parameters<Shipper['useKey']>[0] | undefined;
  const link = connectShipperLink({
    socketPath: folders.shipperSocket,
    log,
    onKey: (newer) => {
      pushed = newer;
      shipper?.useKey(newer);
    },
  });
  shutdown.add('link to control', 3_000, () => link.close());
  shutdown.add('wait for control', 1_000, async () => stopping.abort());
  // Nothing else waits for the shipper: a region that is away at the first start must not keep the installation from starting.
  child.ready({});

  const { clusterId, key } = await link.begin(stopping.signal);
  const started = await startShipper({
    clusterId,
    findPrimary: async () => target,
    regions: await openRegions(config.regions, regionKeys),
    key,
    findKey: async (keyId) => (await link.openKey(keyId)).key,
    spoolDir: folders.spool,
    log,
    onEvent: (event) =>
      void link.notice(toShippingNotice(event)).catch((error) => log.warn('control was not told', { error })),
  });
  shipper = started;
  // biome-ignore lint/correctness/useHookAtTopLevel: no hook of React
  if (pushed) started.useKey(pushed);
  shutdown.add('shipping', 10_000, () => started.stop());
  const reporting = setInterval(() => link.report(toShippingReport(started.status())), reportEveryMs);
  shutdown.add('reports', 1_000, async () => clearInterval(reporting));
}
