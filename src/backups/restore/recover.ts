import type { ScratchFolder } from '#src/clusters/index.ts';
import {
  type Binaries,
  type OsUser,
  type RecoveredServer,
  type RecoveryTarget,
  startRecovery,
} from '#src/clusters/index.ts';
import { failpoint, type Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { restoreFiles } from '../base/index.ts';
import type { RestorePlan } from '../catalogue/index.ts';
import { asWalSource, readWal } from '../shipping/index.ts';
import { recoveryTargetOf } from './target.ts';

export interface RestoreProgress {
  /** `files`: the base backup; `wal`: replay; `use`: whatever the caller does with the result. */
  readonly phase: 'files' | 'wal' | 'use';
  /** Of this phase, 0 to 1. */
  readonly fraction: number;
}

export interface RestoreOptions {
  readonly plan: RestorePlan;
  /** The plan's region. Nothing is read from any other. */
  readonly region: RegionStore;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly binaries: Binaries;
  /** The user that the scratch server runs as; needed when we are root. */
  readonly osUser?: OsUser;
  readonly log: Log;
  /** Default: what the plan says. For `end`, which no plan knows. */
  readonly target?: RecoveryTarget;
  /** Looks for the canary, and whatever else must be there, before anything is made of the result; throws when it is not. */
  check?(server: RecoveredServer): Promise<void>;
  readonly signal?: AbortSignal;
  onProgress?(progress: RestoreProgress): void;
}

/** Files of the base backup and WAL up to the target, on a server in the scratch folder that accepts connections. The caller stops it. */
export async function recoverPlan(
  options: RestoreOptions,
  { folder, databases, durable }: { folder: ScratchFolder; databases: 'all' | readonly number[]; durable: boolean },
): Promise<RecoveredServer> {
  const { plan, region, keys, osUser, signal, onProgress } = options;
  if (plan.region !== region.region) throw new TypeError(`the plan is for region ${plan.region}, not ${region.region}`);
  const { manifest } = plan.backup;
  await restoreFiles({
    region,
    manifest,
    keys,
    into: folder.dataDir,
    databases,
    durable,
    ...(osUser && { owner: osUser }),
    ...(signal && { signal }),
    onProgress: ({ restoredBytes, expectedBytes }) =>
      onProgress?.({ phase: 'files', fraction: Math.min(1, restoredBytes / Math.max(1, expectedBytes)) }),
  });
  await failpoint('backups.restore.files');
  const archive = readWal({
    store: region,
    clusterId: plan.clusterId,
    findKey: async (keyId) => (await keys.openKey(keyId)).key,
  });
  const [first, end] = [plan.wal[0]?.from ?? 0n, plan.wal.at(-1)?.to ?? 0n];
  const server = await startRecovery({
    folder,
    binaries: options.binaries,
    walSource: asWalSource(archive),
    target: options.target ?? recoveryTargetOf(plan.target),
    timeline: plan.timeline,
    systemIdentifier: manifest.systemIdentifier,
    durable,
    log: options.log,
    ...(signal && { signal }),
    onSegment: (_timeline, start) => {
      const fraction = end > first ? Number(start - first) / Number(end - first) : 0;
      onProgress?.({ phase: 'wal', fraction: Math.min(1, Math.max(0, fraction)) });
    },
  });
  try {
    await options.check?.(server);
    await failpoint('backups.restore.recovered');
    onProgress?.({ phase: 'use', fraction: 0 });
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
