import { openLedgerFolder, verificationErrors } from '#src/backups/index.ts';
import type { PrivateServerChecks, VerificationRequest, VerificationRun } from '#src/console-api/index.ts';
import type { Job } from './jobs.ts';
import { createLedgerSamples } from './ledger-samples.ts';
import { ledgerFolderOf, type PrivateCluster, type PrivateClusters } from './private-clusters.ts';
import { countUnverifiedTenants, readRegionChecks } from './region-checks.ts';
import { findSuspectBackup } from './suspect-backups.ts';
import type { OpenTenantReader } from './tenant-readers.ts';
import {
  type CheckDeps,
  createVerifications,
  type VerificationRuns,
  type Verifications,
  verificationTimes,
} from './verifications.ts';

export interface PrivateVerifications {
  /** FH_VERIFICATION_UNKNOWN_SERVER when there is none of this name that has backups and answers. */
  start(cluster: string, request: Omit<VerificationRequest, 'cluster'>): Promise<VerificationRun>;
  /** Of all of them, one after the other. */
  readonly job: Job;
  health(): Promise<PrivateServerChecks[]>;
}

/** Base backups of private servers, verified like the main one's: what belongs to one server is compared with what that server holds. */
export function createPrivateVerifications({
  privateClusters,
  openReader,
  runs,
  ...deps
}: Omit<CheckDeps, 'samples' | 'canaries' | 'control'> & {
  readonly privateClusters: Pick<PrivateClusters, 'list'>;
  readonly openReader: OpenTenantReader;
  readonly runs: VerificationRuns;
}): PrivateVerifications {
  const { pool, keys, clock, log, signal } = deps;
  const { regions } = deps.backups;
  const opened = new WeakMap<PrivateCluster, Promise<Verifications>>();
  const kept = () => privateClusters.list().filter((cluster) => cluster.backups);

  function verificationsOf(cluster: PrivateCluster): Promise<Verifications> {
    const known = opened.get(cluster);
    if (known) return known;
    const opening = open(cluster);
    opened.set(cluster, opening);
    opening.catch(() => opened.delete(cluster));
    return opening;
  }

  async function open({ name, folders, books, target: control, backups }: PrivateCluster): Promise<Verifications> {
    const { shipping, canaries } = backups!;
    const { clusterId } = shipping;
    return createVerifications({
      ...deps,
      backups: { clusterId, regions },
      cluster: name,
      books,
      control,
      samples: createLedgerSamples({ clusterId, pool: books, openReader, clock, log }),
      canaries,
      ledgers: await openLedgerFolder(ledgerFolderOf(folders, name), keys),
      runs,
    });
  }

  return {
    async start(name, request) {
      const cluster = kept().find((each) => each.name === name);
      if (!cluster) throw verificationErrors.FH_VERIFICATION_UNKNOWN_SERVER({ detail: name });
      return (await verificationsOf(cluster)).start(request);
    },
    job: {
      ...verificationTimes,
      name: 'verification of private servers',
      async run() {
        let failure: unknown;
        for (const cluster of kept()) {
          signal.throwIfAborted();
          try {
            await (await verificationsOf(cluster)).runWhenDue();
          } catch (error) {
            // One whose tenant was deleted meanwhile is gone, and its backups with it.
            if (signal.aborted || !kept().includes(cluster)) continue;
            log.error('the backups of a private server could not be verified', { cluster: cluster.name, error });
            failure ??= error;
          }
        }
        if (failure) throw failure;
      },
    },
    health: () =>
      Promise.all(
        kept().map(async ({ name: cluster, books }) => {
          const [ofRegions, unverifiedTenants, suspectBackup] = await Promise.all([
            Promise.all(regions.map(({ region }) => readRegionChecks(pool, { cluster, region }))),
            // One that does not answer is told of as such, and hides nothing about the others.
            countUnverifiedTenants(books, clock.now()).catch(() => 0),
            findSuspectBackup(pool, cluster),
          ]);
          return { cluster, regions: ofRegions, unverifiedTenants, ...(suspectBackup && { suspectBackup }) };
        }),
      ),
  };
}
