import { openLedgerFolder } from '#src/backups/index.ts';
import type {
  BackupDeps,
  ChecksHealth,
  HealthWarning,
  RegionChecks,
  VerificationDeps,
} from '#src/console-api/index.ts';
import type { MetricFigure } from '#src/http/index.ts';
import { createDrillRuns, createDrills, drillTimes, listDrills } from './drills.ts';
import { createLedgerSamples } from './ledger-samples.ts';
import { createPrivateChecks } from './private-checks.ts';
import type { PrivateClusters } from './private-clusters.ts';
import { findRecoveryTimeWarnings } from './recovery-time.ts';
import { countUnverifiedTenants, readRegionChecks } from './region-checks.ts';
import type { Shutdown } from './shutdown.ts';
import { findSuspectBackup, findSuspectWarnings } from './suspect-backups.ts';
import type { OpenTenantReader } from './tenant-readers.ts';
import {
  type CheckDeps,
  createVerificationRuns,
  createVerifications,
  listVerifications,
  verificationTimes,
} from './verifications.ts';

const dayMs = 24 * 60 * 60_000;
/** Without a verification that passed. */
const staleAfterMs = 3 * dayMs;
/** The same in one region: they take turns. */
const regionStaleAfterMs = 2 * staleAfterMs;

export interface Checks extends VerificationDeps {
  /** Begins the schedules of verification and drills. */
  schedule(): void;
  health(): Promise<ChecksHealth>;
  /** As of the last look of `health`. */
  figures(): MetricFigure[];
}

export interface ChecksOptions extends Omit<CheckDeps, 'lane' | 'samples' | 'signal'> {
  readonly openReader: OpenTenantReader;
  readonly ledgerFolder: string;
  readonly privateClusters: Pick<PrivateClusters, 'list'>;
  readonly domain: string;
  /** How long a rebuilding from one region may take; 0: no limit. */
  readonly recoveryTimeLimitMs: number;
  readonly baseBackups: Pick<BackupDeps, 'latest'>;
  readonly shutdown: Shutdown;
}

/** Verification and drills: restores that are tried, so that every backup is known to restore because it was restored. */
export async function createChecks(options: ChecksOptions): Promise<Checks> {
  const { backups, pool, keys, clock, log, openReader, shutdown } = options;
  const { clusterId } = backups;
  const stopping = new AbortController();
  const deps: CheckDeps = {
    ...options,
    lane: { taken: undefined },
    samples: createLedgerSamples({ clusterId, pool, openReader, clock, log }),
    signal: stopping.signal,
  };
  const ledgers = await openLedgerFolder(options.ledgerFolder, keys);
  const runs = { verifications: createVerificationRuns(deps), drills: createDrillRuns(deps) };
  const main = { ...deps, cluster: 'main', books: pool };
  const verifications = createVerifications({ ...main, ledgers, runs: runs.verifications });
  const drills = createDrills({ ...main, domain: options.domain, runs: runs.drills });
  const ofPrivate = createPrivateChecks({ ...deps, ...options, runs });
  let known: ChecksHealth | undefined;
  shutdown.add('verification and drills', 20_000, async () => {
    stopping.abort();
    await deps.lane.taken;
  });

  return {
    listVerifications: (filter) => listVerifications(pool, filter),
    listDrills: (filter) => listDrills(pool, filter),
    startVerification: ({ cluster = 'main', ...request }) =>
      cluster === 'main' ? verifications.start(request) : ofPrivate.verify(cluster, request),
    startDrill: ({ cluster = 'main', ...request }) =>
      cluster === 'main' ? drills.start(request) : ofPrivate.drill(cluster, request),
    latestVerification: () => runs.verifications.latest(),
    latestDrill: () => runs.drills.latest(),
    schedule() {
      options.jobs.add({ name: 'verification', ...verificationTimes, run: () => verifications.runWhenDue() });
      options.jobs.add({ name: 'drill', ...drillTimes, run: () => drills.run() });
      for (const job of ofPrivate.jobs) options.jobs.add(job);
    },
    async health() {
      const { recoveryTimeLimitMs } = options;
      const [regions, unverifiedTenants, suspectBackup, privateServers] = await Promise.all([
        Promise.all(
          backups.regions.map(({ region }) => readRegionChecks(pool, { cluster: 'main', region, recoveryTimeLimitMs })),
        ),
        countUnverifiedTenants(pool, clock.now()),
        findSuspectBackup(pool, 'main'),
        ofPrivate.health(),
      ]);
      const lastBackupAt = options.baseBackups.latest()?.backup?.finishedAt;
      const lastVerification = newestOf(regions.map((each) => each.lastVerification));
      const lastDrill = newestOf(regions.map((each) => each.lastDrill));
      const lastVerifiedAt = regions
        .flatMap((each) => each.lastVerifiedAt ?? [])
        .toSorted()
        .at(-1);
      known = {
        ...(lastBackupAt && { lastBackupAt }),
        ...(lastVerification && { lastVerification }),
        ...(lastVerifiedAt && { lastVerifiedAt }),
        ...(lastDrill && { lastDrill }),
        regions,
        ...(suspectBackup && { suspectBackup }),
        unverifiedTenants,
        privateServers,
      };
      return known;
    },
    figures: () => (known ? figuresOf(known) : []),
  };
}

function newestOf<T extends { readonly at: string }>(all: readonly (T | undefined)[]): T | undefined {
  return all.filter((each) => each !== undefined).toSorted((one, other) => other.at.localeCompare(one.at))[0];
}

export function findCheckWarnings({ checks }: { readonly checks?: ChecksHealth }, now: number): HealthWarning[] {
  if (!checks) return [];
  const { lastVerifiedAt } = checks;
  const isStale: IsStale = (at, afterMs) => at !== undefined && now - Date.parse(at) > afterMs;
  const warnings = checks.regions.flatMap((each) => [
    ...findRegionWarnings(each, isStale),
    ...findRecoveryTimeWarnings(each, now),
  ]);
  warnings.push(...findSuspectWarnings(checks.suspectBackup));
  const isFailing = checks.regions.some(({ lastVerification }) => lastVerification?.passed === false);
  if (isStale(lastVerifiedAt, staleAfterMs) && !isFailing)
    warnings.push({
      severity: 'problem',
      text: `No backup was verified by restoring it since ${lastVerifiedAt}.`,
      hint: 'Do it now, and see why it is not done by itself: ./freehold backup verify',
    });
  warnings.push(...findUnverified(checks));
  for (const server of checks.privateServers)
    warnings.push(
      ...server.regions.flatMap((each) => findRegionWarnings(each, isStale, server.cluster)),
      ...findSuspectWarnings(server.suspectBackup, onServer(server.cluster)),
      ...findUnverified(server),
    );
  return warnings;
}

type IsStale = (at: string | undefined, afterMs: number) => boolean;

function findUnverified({
  unverifiedTenants,
  cluster,
}: Pick<ChecksHealth, 'unverifiedTenants'> & { cluster?: string }): HealthWarning[] {
  if (unverifiedTenants === 0) return [];
  return [
    {
      severity: 'risk',
      text: `The rows of ${unverifiedTenants} tenants${onServer(cluster)} were not compared after a restore for two weeks.`,
      hint: `Their tables may be locked all the time. Try it at a quiet hour: ./freehold backup verify${ofServer(cluster)}`,
    },
  ];
}

const onServer = (cluster: string | undefined) => (cluster === undefined ? '' : ` on the private server ${cluster}`);
const ofServer = (cluster: string | undefined) => (cluster === undefined ? '' : ` --cluster ${cluster}`);

/** @param cluster of a private server; undefined: of the shared one */
function findRegionWarnings(
  { region, lastVerification: verification, lastVerifiedAt, lastDrill: drill }: RegionChecks,
  isStale: IsStale,
  cluster?: string,
): HealthWarning[] {
  const warnings: HealthWarning[] = [];
  const again = `./freehold backup verify --region ${region}${ofServer(cluster)}`;
  if (verification && !verification.passed)
    warnings.push({
      severity: 'problem',
      text: `The backup ${verification.backupId}${onServer(cluster)}, restored from region ${region}, is not what it should be: ${verification.finding}.`,
      hint: `Until it is mended, restore from the other region. See docs/backups.md; then again: ${again}`,
    });
  else if (isStale(lastVerifiedAt, regionStaleAfterMs))
    warnings.push({
      severity: 'problem',
      text: `No backup${onServer(cluster)} in region ${region} was verified by restoring it since ${lastVerifiedAt}.`,
      hint: `Do it now, and see why it is not done by itself: ${again}`,
    });
  if (drill && !drill.passed)
    warnings.push({
      severity: 'problem',
      text: `The last drill could not rebuild the installation from region ${region}: ${drill.finding}.`,
      hint: `When it is mended, try again: ./freehold drill --region ${region}`,
    });
  return warnings;
}

function figuresOf({
  lastVerifiedAt,
  lastDrill,
  regions,
  unverifiedTenants,
  privateServers,
}: ChecksHealth): MetricFigure[] {
  const gauge = (
    name: string,
    help: string,
    value: number | undefined,
    region?: string,
    cluster = 'main',
  ): MetricFigure[] => {
    const labels = { cluster, ...(region && { region }) };
    return value === undefined ? [] : [{ name: `freehold_${name}`, help, type: 'gauge', labels, value }];
  };
  const seconds = (at: string | undefined) => at && Date.parse(at) / 1_000;
  const servers = [{ cluster: 'main', regions, unverifiedTenants }, ...privateServers];
  return [
    ...servers.flatMap(({ cluster, regions: of }) =>
      of.flatMap(({ region, lastVerification: last }) =>
        gauge(
          'verification_passed',
          '1 when the newest verification of a base backup in the region found nothing wrong.',
          last && Number(last.passed),
          region,
          cluster,
        ),
      ),
    ),
    ...gauge(
      'verification_last_passed_timestamp_seconds',
      'When a base backup was last restored and found right.',
      seconds(lastVerifiedAt) || undefined,
    ),
    ...servers.flatMap(({ cluster, unverifiedTenants: tenants }) =>
      gauge(
        'verification_overdue_tenants',
        'Tenants whose rows were not compared after a restore for two weeks.',
        tenants,
        undefined,
        cluster,
      ),
    ),
    ...regions.flatMap(({ region, lastDrill: last }) =>
      gauge(
        'drill_passed',
        '1 when the newest drill from the region found nothing wrong.',
        last && Number(last.passed),
        region,
      ),
    ),
    ...gauge('drill_timestamp_seconds', 'When the newest drill ended.', seconds(lastDrill?.at) || undefined),
    ...gauge(
      'drill_recovery_point_seconds',
      'Work that would have been lost in the newest drill.',
      lastDrill?.recoveryPointMs !== undefined ? lastDrill.recoveryPointMs / 1_000 : undefined,
    ),
    ...gauge(
      'drill_recovery_time_seconds',
      'Until the rebuilt installation answered in the newest drill.',
      lastDrill?.recoveryTimeMs !== undefined ? lastDrill.recoveryTimeMs / 1_000 : undefined,
    ),
    ...regions.flatMap(({ region, recoveryTime }) =>
      gauge(
        'recovery_time_limit_expected_timestamp_seconds',
        'When rebuilding from the region passes FREEHOLD_RECOVERY_TIME_LIMIT at the pace of its last drills.',
        seconds(recoveryTime?.passesLimitAt) || undefined,
        region,
      ),
    ),
  ];
}
