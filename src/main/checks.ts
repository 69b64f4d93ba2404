import { openLedgerFolder, selectDrills, selectTenantsToVerify, selectVerifications } from '#src/backups/index.ts';
import type { BackupDeps, ChecksHealth, HealthWarning, VerificationDeps } from '#src/console-api/index.ts';
import type { MetricFigure } from '#src/http/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';
import { summarise } from './check-runs.ts';
import { createDrills } from './drills.ts';
import { createLedgerSamples } from './ledger-samples.ts';
import type { Shutdown } from './shutdown.ts';
import { type CheckDeps, createVerifications } from './verifications.ts';

const dayMs = 24 * 60 * 60_000;
/** A tenant whose rows were not compared for so long is a risk. */
const unverifiedAfterMs = 14 * dayMs;
/** Without a verification that passed. */
const staleAfterMs = 3 * dayMs;

export interface Checks extends VerificationDeps {
  /** Begins the schedules of verification and drills. */
  schedule(): void;
  health(): Promise<ChecksHealth>;
  /** As of the last look of `health`. */
  figures(): MetricFigure[];
}

export interface ChecksOptions extends Omit<CheckDeps, 'lane' | 'samples' | 'signal'> {
  readonly getAccess: (tenantId: TenantId) => Promise<TenantAccess>;
  readonly ledgerFolder: string;
  readonly domain: string;
  readonly baseBackups: Pick<BackupDeps, 'latest'>;
  readonly shutdown: Shutdown;
}

/** Verification and drills: restores that are tried, so that every backup is known to restore because it was restored. */
export async function createChecks(options: ChecksOptions): Promise<Checks> {
  const { backups, pool, keys, clock, log, getAccess, shutdown } = options;
  const { clusterId } = backups;
  const stopping = new AbortController();
  const deps: CheckDeps = {
    ...options,
    lane: { taken: undefined },
    samples: createLedgerSamples({ clusterId, pool, getAccess, clock, log }),
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
      const [newest, [drill], tenants] = await Promise.all([
        selectVerifications(pool, { limit: 50, kind: 'backup' }),
        selectDrills(pool, { limit: 1 }),
        selectTenantsToVerify(pool),
      ]);
      const passed = newest.find((each) => each.passed);
      const since = clock.now() - unverifiedAfterMs;
      const [last] = newest;
      const lastBackupAt = options.baseBackups.latest()?.backup?.finishedAt;
      known = {
        ...(lastBackupAt && { lastBackupAt }),
        ...(last && {
          lastVerification: {
            at: last.finishedAt.toISOString(),
            passed: last.passed,
            region: last.region,
            backupId: last.subject,
            ...(!last.passed && { finding: summarise(last.findings) }),
          },
        }),
        ...(passed && { lastVerifiedAt: passed.finishedAt.toISOString() }),
        ...(drill && {
          lastDrill: {
            at: drill.finishedAt.toISOString(),
            passed: drill.passed,
            region: drill.region,
            ...(drill.recoveryPointMs !== undefined && { recoveryPointMs: drill.recoveryPointMs }),
            ...(drill.recoveryTimeMs !== undefined && { recoveryTimeMs: drill.recoveryTimeMs }),
            ...(!drill.passed && { finding: summarise(drill.findings) }),
          },
        }),
        unverifiedTenants: tenants.filter(
          ({ createdAt, verifiedAt }) => createdAt.getTime() < since && (verifiedAt?.getTime() ?? 0) < since,
        ).length,
      };
      return known;
    },
    figures: () => (known ? figuresOf(known) : []),
  };
}

export function findCheckWarnings({ checks }: { readonly checks?: ChecksHealth }, now: number): HealthWarning[] {
  if (!checks) return [];
  const { lastVerification: verification, lastVerifiedAt, lastDrill: drill, unverifiedTenants } = checks;
  const warnings: HealthWarning[] = [];
  if (verification && !verification.passed)
    warnings.push({
      severity: 'problem',
      text: `The backup ${verification.backupId}, restored from region ${verification.region}, is not what it should be: ${verification.finding}.`,
      hint: 'Until it is mended, restore from the other region. See ./freehold backup verify and docs/backups.md.',
    });
  if (lastVerifiedAt && now - Date.parse(lastVerifiedAt) > staleAfterMs && verification?.passed)
    warnings.push({
      severity: 'problem',
      text: `No backup was verified by restoring it since ${lastVerifiedAt}.`,
      hint: 'Do it now, and see why it is not done by itself: ./freehold backup verify',
    });
  if (drill && !drill.passed)
    warnings.push({
      severity: 'problem',
      text: `The last drill could not rebuild the installation from region ${drill.region}: ${drill.finding}.`,
      hint: 'When it is mended, try again: ./freehold drill',
    });
  if (unverifiedTenants > 0)
    warnings.push({
      severity: 'risk',
      text: `The rows of ${unverifiedTenants} tenants were not compared after a restore for two weeks.`,
      hint: 'Their tables may be locked all the time. Try it at a quiet hour: ./freehold backup verify',
    });
  return warnings;
}

function figuresOf({ lastVerification, lastVerifiedAt, lastDrill, unverifiedTenants }: ChecksHealth): MetricFigure[] {
  const gauge = (name: string, help: string, value: number | undefined): MetricFigure[] =>
    value === undefined ? [] : [{ name: `freehold_${name}`, help, type: 'gauge', labels: { cluster: 'main' }, value }];
  const seconds = (at: string | undefined) => at && Date.parse(at) / 1_000;
  return [
    ...gauge(
      'verification_passed',
      '1 when the newest verification of a base backup found nothing wrong.',
      lastVerification && Number(lastVerification.passed),
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
    ...gauge('drill_passed', '1 when the newest drill found nothing wrong.', lastDrill && Number(lastDrill.passed)),
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
  ];
}
