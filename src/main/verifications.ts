import { recordAudit } from '#src/audit/index.ts';
import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  insertVerification,
  type LedgerFolder,
  type RetentionHolds,
  type RowLedger,
  selectTenantsToVerify,
  selectVerifications,
  upsertVerifiedTenants,
  type Verification,
  verificationErrors,
  verifyBackup,
} from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { VerificationRequest, VerificationRun, VerificationView } from '#src/console-api/index.ts';
import { type Clock, isId, type Log } from '#src/kernel/index.ts';
import type { OpenKeyStore } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { Canaries } from './canaries.ts';
import { chooseRegion, createCheckRuns, type Lane, newestFirst, summarise } from './check-runs.ts';
import type { Jobs } from './jobs.ts';
import { type LedgerSamples, rowReader } from './ledger-samples.ts';

const hourMs = 60 * 60_000;
const dayMs = 24 * hourMs;
/** Later than the first base backup of an installation. */
const firstAfterMs = 5 * 60_000;
const overdueAfterMs = 3 * dayMs;
/** Every tenant's rows are compared at least so often. */
const everyTenantMs = 7 * dayMs;
/** Ledgers of older backups, for `backup verify BACKUP`. */
const keepLedgersMs = 40 * dayMs;

export interface CheckDeps {
  readonly backups: Pick<BackupServices, 'clusterId' | 'regions'>;
  readonly binaries: Binaries;
  readonly pool: Pool;
  /** Control's own role and database. */
  readonly control: { readonly user: string; readonly database: string; readonly password: string };
  readonly keys: OpenKeyStore;
  readonly samples: LedgerSamples;
  readonly canaries: Pick<Canaries, 'fly'>;
  readonly holds: Pick<RetentionHolds, 'hold'>;
  readonly scratchFolder: string;
  readonly lane: Lane;
  readonly jobs: Pick<Jobs, 'add'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when control stops. */
  readonly signal: AbortSignal;
}

export interface Verifications {
  list(filter: { limit: number; subject?: string; tenantId?: string }): Promise<VerificationView[]>;
  start(request: VerificationRequest): Promise<VerificationRun>;
  latest(): VerificationRun | undefined;
  /** Hourly: when there is a base backup that was not verified, or a tenant whose turn it is. */
  schedule(): void;
}

/** Base backups are restored and compared, from one region at a time, the other one the next time. */
export function createVerifications(deps: CheckDeps & { readonly ledgers: LedgerFolder }): Verifications {
  const { backups, pool, keys, samples, clock, log, ledgers } = deps;
  const catalogues = new Map<string, Catalogue>();
  const runs = createCheckRuns<VerificationView, VerificationRun>({
    what: 'a verification',
    lane: deps.lane,
    toRun: (run, verification) => ({ ...run, ...(verification && { verification }) }),
    clock,
    log,
  });

  async function nextRegion(wanted?: string): Promise<RegionStore> {
    const [last] = await selectVerifications(pool, { limit: 1, kind: 'backup' });
    return chooseRegion(backups.regions, wanted, last?.region);
  }

  /** Base backups of a region, newest first. */
  async function backupsOf(region: RegionStore) {
    const previous = catalogues.get(region.region);
    const reader = createCatalogueReader(region, keys.keysIn(region));
    const catalogue = await buildCatalogue({ region, reader, signal: deps.signal, ...(previous && { previous }) });
    catalogues.set(region.region, catalogue);
    const all = catalogue.clusters.get(backups.clusterId)?.backups ?? [];
    return all.flatMap((backup) => ('manifest' in backup ? [backup.manifest] : [])).sort(newestFirst);
  }

  async function verify(
    region: RegionStore,
    backupId: string | undefined,
    report: (progress: { fraction: number; text: string }) => void,
  ): Promise<VerificationView> {
    const startedAt = new Date(clock.now());
    report({ fraction: 0, text: `looking at what region ${region.region} holds` });
    const [newest, ...older] = await backupsOf(region);
    const manifest = backupId ? [newest, ...older].find((each) => each?.backupId === backupId) : newest;
    if (!newest || !manifest) {
      const detail = `region ${region.region}${backupId ? `, ${backupId}` : ' has none yet'}`;
      throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail });
    }
    const within = (from: number, to: number) => (progress: { fraction: number; text: string }) =>
      report({ ...progress, fraction: from + (to - from) * progress.fraction });
    let ledger: RowLedger | undefined;
    // To today is a long way from an old backup; a ledger of its own time is nearer.
    if (manifest !== newest) ledger = await ledgers.findAfter(manifest.timeline, manifest.stopLsn);
    if (!ledger) {
      ledger = (await samples.take(manifest, deps.signal, within(0.02, 0.2))).ledger;
      await ledgers.add(ledger);
      await ledgers.removeBefore(new Date(clock.now() - keepLedgersMs));
      await deps.canaries.fly();
    }
    const previous = catalogues.get(region.region);
    const reason = 'it is being verified';
    const names = await samples.names();
    const release = deps.holds.hold({ kind: 'backup', backupId: manifest.backupId, reason });
    const verdict = await verifyBackup({
      region,
      keys: keys.keysIn(region),
      backupId: manifest.backupId,
      ledger,
      names,
      rows: rowReader,
      control: deps.control,
      binaries: deps.binaries,
      scratchParent: deps.scratchFolder,
      ...(previous && { previous }),
      clock,
      log,
      signal: deps.signal,
      onProgress: within(0.2, 1),
    }).finally(release);
    if (verdict.catalogue) catalogues.set(region.region, verdict.catalogue);
    const ofTenants = (await selectTenantsToVerify(pool)).length;
    const { findings, verified } = verdict;
    const finishedAt = new Date(clock.now());
    const record = await pool.transaction(async (tx) => {
      await upsertVerifiedTenants(tx, verified, finishedAt);
      await recordAudit(tx, {
        name: findings.length > 0 ? 'backup.verification_failed' : 'backup.verified',
        actor: 'system',
        subject: manifest.backupId,
        details: {
          region: region.region,
          tenants: verified.length,
          ...(findings.length > 0 && { findings: findings.length, first: summarise(findings) }),
        },
      });
      return insertVerification(tx, {
        kind: 'backup',
        subject: manifest.backupId,
        region: region.region,
        startedAt,
        finishedAt,
        passed: findings.length === 0,
        findings,
        checked: { ...verdict.checked, ofTenants },
      });
    });
    if (findings.length > 0) log.error('a base backup is not what it should be', { region: region.region, findings });
    return toView(record);
  }

  /** Whether there is anything that was not looked at. */
  async function isDue(): Promise<boolean> {
    const known = await selectVerifications(pool, { limit: 50, kind: 'backup' });
    if (!known[0]?.passed) return true;
    const [newest] = await backupsOf(await nextRegion());
    if (!newest) return false;
    if (!known.some(({ subject, passed }) => passed && subject === newest.backupId)) return true;
    const held = new Set(newest.databases.map(({ oid }) => oid));
    const turnOver = clock.now() - everyTenantMs;
    return (await selectTenantsToVerify(pool)).some(
      ({ oid, verifiedAt }) => held.has(oid) && (verifiedAt?.getTime() ?? 0) < turnOver,
    );
  }

  return {
    async list(filter) {
      return (await selectVerifications(pool, filter)).map(toView);
    },
    latest: () => runs.latest(),
    async start({ backupId, region: wanted }) {
      const region = await nextRegion(wanted);
      if (backupId !== undefined && !isId('bak', backupId))
        throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail: backupId });
      return runs.start(region.region, (report) => verify(region, backupId, report)).run;
    },
    schedule() {
      deps.jobs.add({
        name: 'verification',
        everyMs: hourMs,
        firstAfterMs,
        retryAfterMs: hourMs,
        overdueAfterMs,
        run: async () => {
          if (!(await isDue())) return;
          const region = await nextRegion();
          const work = (report: Parameters<typeof verify>[2]) => verify(region, undefined, report);
          const { passed, findings } = await runs.startWhenFree(region.region, work);
          if (!passed) throw verificationErrors.FH_VERIFICATION_FAILED({ detail: summarise(findings) });
        },
      });
    },
  };
}

function toView({ startedAt, finishedAt, ...record }: Verification): VerificationView {
  return { ...record, startedAt: startedAt.toISOString(), finishedAt: finishedAt.toISOString() };
}
