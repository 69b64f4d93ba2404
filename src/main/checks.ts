import { openLedgerFolder, selectDrills, selectTenantsToVerify, selectVerifications } from '#src/backups/index.ts';
import type {
  BackupDeps,
  ChecksHealth,
  HealthWarning,
  RegionChecks,
  VerificationDeps,
} from '#src/console-api/index.ts';
import type { MetricFigure } from '#src/http/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { summarise } from './check-runs.ts';
import { createDrills } from './drills.ts';
import { createLedgerSamples } from './ledger-samples.ts';
import { findRecoveryTimeWarnings, readRecoveryTime } from './recovery-time.ts';
import type { Shutdown } from './shutdown.ts';
import { findSuspectBackup, findSuspectWarnings } from './suspect-backups.ts';
import type { OpenTenantReader } from './tenant-readers.ts';
import { type CheckDeps, createVerifications } from './verifications.ts';

const dayMs = 24 * 60 * 60_000;
/** A tenant whose rows were not compared for so long is a risk. */
const unverifiedAfterMs = 14 * dayMs;
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
  const verifications = createVerifications({ ...deps, ledgers });
  const drills = createDrills({ ...deps, domain: options.domain });
  let known: ChecksHealth | undefined;
  shutdown.add('verification and drills', 20_000, async () => {
    stopping.abort();
    await deps.lane.taken;
  });

  return {
    listVerifications: (filter) => verifications.list(filter),
    listDrills: (filter) => drills.list(filter),
    startVerification: (request) => verifications.start(request),
    startDrill: (request) => drills.start(request),
    latestVerification: () => verifications.latest(),
    latestDrill: () => drills.latest(),
    schedule() {
      verifications.schedule();
      drills.schedule();
    },
    async health() {
      const [regions, tenants, suspectBackup] = await Promise.all([
        Promise.all(backups.regions.map(({ region }) => readRegion(pool, region, options.recoveryTimeLimitMs))),
        selectTenantsToVerify(pool),
        findSuspectBackup(pool),
      ]);
      const since = clock.now() - unverifiedAfterMs;
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
        unverifiedTenants: tenants.filter(
          ({ createdAt, verifiedAt }) => createdAt.getTime() < since && (verifiedAt?.getTime() ?? 0) < since,
        ).length,
      };
      return known;
    },
    figures: () => (known ? figuresOf(known) : []),
  };
}

async function readRegion(pool: Queryable, region: string, recoveryTimeLimitMs: number): Promise<RegionChecks> {
  const ofRegion = { limit: 1, kind: 'backup', region };
  const [[last], [passed], [drill], recoveryTime] = await Promise.all([
    selectVerifications(pool, ofRegion),
    selectVerifications(pool, { ...ofRegion, passed: true }),
    selectDrills(pool, { limit: 1, region }),
    recoveryTimeLimitMs > 0 ? readRecoveryTime(pool, region, recoveryTimeLimitMs) : undefined,
  ]);
  return {
    region,
    ...(last && {
      lastVerification: {
        at: last.finishedAt.toISOString(),
        passed: last.passed,
        region,
        backupId: last.subject,
        ...(!last.passed && { finding: summarise(last.findings) }),
      },
    }),
    ...(passed && { lastVerifiedAt: passed.finishedAt.toISOString() }),
    ...(drill && {
      lastDrill: {
        at: drill.finishedAt.toISOString(),
        passed: drill.passed,
        region,
        ...(drill.recoveryPointMs !== undefined && { recoveryPointMs: drill.recoveryPointMs }),
        ...(drill.recoveryTimeMs !== undefined && { recoveryTimeMs: drill.recoveryTimeMs }),
        ...(!drill.passed && { finding: summarise(drill.findings) }),
      },
    }),
    ...(recoveryTime && { recoveryTime }),
  };
}

function newestOf<T extends { readonly at: string }>(all: readonly (T | undefined)[]): T | undefined {
  return all.filter((each) => each !== undefined).toSorted((one, other) => other.at.localeCompare(one.at))[0];
}

export function findCheckWarnings({ checks }: { readonly checks?: ChecksHealth }, now: number): HealthWarning[] {
  if (!checks) return [];
  const { lastVerifiedAt, unverifiedTenants } = checks;
  const isStale = (at: string | undefined, afterMs: number) => at !== undefined && now - Date.parse(at) > afterMs;
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
  if (unverifiedTenants > 0)
    warnings.push({
      severity: 'risk',
      text: `The rows of ${unverifiedTenants} tenants were not compared after a restore for two weeks.`,
      hint: 'Their tables may be locked all the time. Try it at a quiet hour: ./freehold backup verify',
    });
  return warnings;
}

function findRegionWarnings(
  { region, lastVerification: verification, lastVerifiedAt, lastDrill: drill }: RegionChecks,
  isStale: (at: string | undefined, afterMs: number) => boolean,
): HealthWarning[] {
  const warnings: HealthWarning[] = [];
  if (verification && !verification.passed)
    warnings.push({
      severity: 'problem',
      text: `The backup ${verification.backupId}, restored from region ${region}, is not what it should be: ${verification.finding}.`,
      hint: `Until it is mended, restore from the other region. See docs/backups.md; then again: ./freehold backup verify --region ${region}`,
    });
  else if (isStale(lastVerifiedAt, regionStaleAfterMs))
    warnings.push({
      severity: 'problem',
      text: `No backup in region ${region} was verified by restoring it since ${lastVerifiedAt}.`,
      hint: `Do it now, and see why it is not done by itself: ./freehold backup verify --region ${region}`,
    });
  if (drill && !drill.passed)
    warnings.push({
      severity: 'problem',
      text: `The last drill could not rebuild the installation from region ${region}: ${drill.finding}.`,
      hint: `When it is mended, try again: ./freehold drill --region ${region}`,
    });
  return warnings;
}

function figuresOf({ lastVerifiedAt, lastDrill, regions, unverifiedTenants }: ChecksHealth): MetricFigure[] {
  const gauge = (name: string, help: string, value: number | undefined, region?: string): MetricFigure[] => {
    const labels = { cluster: 'main', ...(region && { region }) };
    return value === undefined ? [] : [{ name: `freehold_${name}`, help, type: 'gauge', labels, value }];
  };
  const seconds = (at: string | undefined) => at && Date.parse(at) / 1_000;
  return [
    ...regions.flatMap(({ region, lastVerification: last }) =>
      gauge(
        'verification_passed',
        '1 when the newest verification of a base backup in the region found nothing wrong.',
        last && Number(last.passed),
        region,
      ),
    ),
    ...gauge(
      'verification_last_passed_timestamp_seconds',
      'When a base backup was last restored and found right.',
      seconds(lastVerifiedAt) || undefined,
    ),
    ...gauge(
      'verification_overdue_tenants',
      'Tenants whose rows were not compared after a restore for two weeks.',
      unverifiedTenants,
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
