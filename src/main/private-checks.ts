import { openLedgerFolder, verificationErrors } from '#src/backups/index.ts';
import type { DrillRun, PrivateServerChecks, VerificationRequest, VerificationRun } from '#src/console-api/index.ts';
import { createDrills, type DrillRuns, type Drills, drillTimes } from './drills.ts';
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

const dayMs = 24 * 60 * 60_000;

export interface PrivateChecks {
  /** FH_VERIFICATION_UNKNOWN_SERVER when there is none of this name that has backups and answers. */
  verify(cluster: string, request: Omit<VerificationRequest, 'cluster'>): Promise<VerificationRun>;
  /** The same. */
  drill(cluster: string, request: { readonly region?: string }): Promise<DrillRun>;
  /** Of all of them, one after the other. */
  readonly jobs: readonly Job[];
  health(): Promise<PrivateServerChecks[]>;
}

interface ServerChecks {
  readonly verifications: Verifications;
  readonly drills: Drills;
}

/** Backups of private servers, tried like the main one's: what belongs to one server is compared with what that server holds. */
export function createPrivateChecks({
  privateClusters,
  openReader,
  domain,
  runs,
  ...deps
}: Omit<CheckDeps, 'samples' | 'canaries' | 'control'> & {
  readonly privateClusters: Pick<PrivateClusters, 'list'>;
  readonly openReader: OpenTenantReader;
  readonly domain: string;
  readonly runs: { readonly verifications: VerificationRuns; readonly drills: DrillRuns };
}): PrivateChecks {
  const { pool, keys, clock, log, signal } = deps;
  const { regions } = deps.backups;
  const opened = new WeakMap<PrivateCluster, Promise<ServerChecks>>();
  const kept = () => privateClusters.list().filter((cluster) => cluster.backups);

  function checksOf(cluster: PrivateCluster): Promise<ServerChecks> {
    const known = opened.get(cluster);
    if (known) return known;
    const opening = open(cluster);
    opened.set(cluster, opening);
    opening.catch(() => opened.delete(cluster));
    return opening;
  }

  async function open({ name, folders, books, target: control, backups }: PrivateCluster): Promise<ServerChecks> {
    const { shipping, canaries } = backups!;
    const { clusterId } = shipping;
    const samples = createLedgerSamples({ clusterId, pool: books, openReader, clock, log });
    const own = { ...deps, backups: { clusterId, regions }, cluster: name, books, control, samples, canaries };
    const ledgers = await openLedgerFolder(ledgerFolderOf(folders, name), keys);
    return {
      verifications: createVerifications({ ...own, ledgers, runs: runs.verifications }),
      drills: createDrills({ ...own, domain, runs: runs.drills }),
    };
  }

  function find(name: string): Promise<ServerChecks> {
    const cluster = kept().find((each) => each.name === name);
    if (!cluster) throw verificationErrors.FH_VERIFICATION_UNKNOWN_SERVER({ detail: name });
    return checksOf(cluster);
  }

  /** One that fails keeps no other from its turn. */
  async function forEach(what: string, work: (checks: ServerChecks) => Promise<void>): Promise<void> {
    let failure: unknown;
    for (const cluster of kept()) {
      signal.throwIfAborted();
      try {
        await work(await checksOf(cluster));
      } catch (error) {
        // One whose tenant was deleted meanwhile is gone, and its backups with it.
        if (signal.aborted || !kept().includes(cluster)) continue;
        log.error(`${what} of a private server failed`, { cluster: cluster.name, error });
        failure ??= error;
      }
    }
    if (failure) throw failure;
  }

  return {
    verify: async (name, request) => (await find(name)).verifications.start(request),
    drill: async (name, request) => (await find(name)).drills.start(request),
    jobs: [
      {
        ...verificationTimes,
        name: 'verification of private servers',
        run: () => forEach('the verification', ({ verifications }) => verifications.runWhenDue()),
      },
      {
        ...drillTimes,
        // Each has its own week.
        everyMs: dayMs,
        name: 'drills of private servers',
        run: () => forEach('a drill', ({ drills }) => drills.runWhenDue()),
      },
    ],
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
