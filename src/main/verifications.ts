import { recordAudit } from '#src/audit/index.ts';
import {
  buildCatalogue,
  type Catalogue,
  type Checked,
  createCatalogueReader,
  type Finding,
  findPassedOver,
  insertVerification,
  type LedgerFolder,
  type RetentionHolds,
  type RowLedger,
  selectTenantsToVerify,
  selectVerifications,
  unreadableBackup,
  upsertVerifiedTenants,
  type Verification,
  verificationErrors,
  verifyBackup,
} from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { VerificationRequest, VerificationRun, VerificationView } from '#src/console-api/index.ts';
import { type BackupId, type Clock, isId, type Log, type TenantId } from '#src/kernel/index.ts';
import type { OpenKeyStore } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { Canaries } from './canaries.ts';
import {
  type CheckRuns,
  chooseRegion,
  createCheckRuns,
  describeFailed,
  type Lane,
  newestFirst,
  regionsInTurn,
  summarise,
} from './check-runs.ts';
import type { Jobs } from './jobs.ts';
import { type LedgerSamples, rowReader } from './ledger-samples.ts';

const hourMs = 60 * 60_000;
const dayMs = 24 * hourMs;
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

/** Of one server. */
export interface ServerCheckDeps extends CheckDeps {
  /** Its name. */
  readonly cluster: string;
  /** Where its tenants, canaries and what was compared are kept: in a database of its own. Of the main one: control's own. */
  readonly books: Pool;
}

export interface VerificationsOptions extends ServerCheckDeps {
  readonly ledgers: LedgerFolder;
  /** Of the verifications of all servers. */
  readonly runs: VerificationRuns;
}

export interface Verifications {
  start(request: Omit<VerificationRequest, 'cluster'>): Promise<VerificationRun>;
  /** When there is a base backup that was not verified, or a tenant whose turn it is. Rejects when the newest of any region is not what it should be. */
  runWhenDue(): Promise<void>;
}

export type VerificationRuns = CheckRuns<VerificationView, VerificationRun>;

export function createVerificationRuns(deps: Pick<CheckDeps, 'lane' | 'clock' | 'log'>): VerificationRuns {
  return createCheckRuns({
    ...deps,
    what: 'a verification',
    toRun: (run, verification) => ({ ...run, ...(verification && { verification }) }),
  });
}

/** Hourly. */
export const verificationTimes = {
  everyMs: hourMs,
  firstAfterMs: 5 * 60_000,
  retryAfterMs: hourMs,
  overdueAfterMs: 3 * dayMs,
} as const;

/** Base backups of a server are restored and compared, from one region at a time, the other one the next time. */
export function createVerifications(deps: VerificationsOptions): Verifications {
  const { backups, cluster, pool, books, keys, samples, clock, log, ledgers, runs } = deps;
  const catalogues = new Map<string, Catalogue>();

  /** The newest of each region that there is one of. */
  async function lastInRegions(): Promise<Verification[]> {
    const ofServer = { limit: 1, kind: 'backup', cluster };
    const found = backups.regions.map(({ region }) => selectVerifications(pool, { ...ofServer, region }));
    return (await Promise.all(found)).flat();
  }

  /** Base backups of a region, newest first: whose manifests can be read, and the others. */
  async function backupsOf(region: RegionStore) {
    const previous = catalogues.get(region.region);
    const reader = createCatalogueReader(region, keys.keysIn(region));
    const catalogue = await buildCatalogue({ region, reader, signal: deps.signal, ...(previous && { previous }) });
    catalogues.set(region.region, catalogue);
    const all = catalogue.clusters.get(backups.clusterId)?.backups ?? [];
    const manifests = all.flatMap((backup) => ('manifest' in backup ? [backup.manifest] : [])).sort(newestFirst);
    const byAge = all.toSorted((one, other) => other.storedAt.getTime() - one.storedAt.getTime());
    const unreadable = byAge.filter(({ state }) => state === 'unreadable').map(({ backupId }) => backupId);
    const isNewestUnreadable = byAge.find(({ state }) => state !== 'unfinished')?.state === 'unreadable';
    return { catalogue, manifests, unreadable, isNewestUnreadable };
  }

  async function verify(
    region: RegionStore,
    backupId: BackupId | undefined,
    report: (progress: { fraction: number; text: string }) => void,
  ): Promise<VerificationView> {
    const startedAt = new Date(clock.now());
    report({ fraction: 0, text: `looking at what region ${region.region} holds` });
    const { catalogue, manifests, unreadable } = await backupsOf(region);
    const [newest] = manifests;
    const names = await samples.names();
    const destroyed = new Set(await keys.destroyedOwners());
    const passedOver = backupId
      ? []
      : findPassedOver(catalogue, backups.clusterId, newest?.backupId, { destroyed, names });
    const manifest = backupId ? manifests.find((each) => each.backupId === backupId) : newest;
    if (!manifest) {
      const subject = unreadable.find((each) => each === (backupId ?? each));
      if (subject) return keep({ subject, region, startedAt, findings: [unreadableBackup(region.region, subject)] });
      const detail = `region ${region.region}${backupId ? `, ${backupId}` : ' has none yet'}`;
      throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail });
    }
    const within = (from: number, to: number) => (progress: { fraction: number; text: string }) =>
      report({ ...progress, fraction: from + (to - from) * progress.fraction });
    let ledger: RowLedger | undefined;
    // To today is a long way from an old backup; a ledger of its own time is nearer, unless it is about others.
    if (manifest !== newest) ledger = await ledgers.findAfter(manifest.timeline, manifest.stopLsn);
    if (!ledger?.tenants.some(({ oid }) => manifest.databases.some((database) => database.oid === oid))) {
      ledger = (await samples.take({ manifest, later: false }, deps.signal, within(0.02, 0.2))).ledger;
      await ledgers.add(ledger);
      await ledgers.removeBefore(new Date(clock.now() - keepLedgersMs));
      await deps.canaries.fly();
    }
    const previous = catalogues.get(region.region);
    const reason = 'it is being verified';
    const release = deps.holds.hold({ kind: 'backup', backupId: manifest.backupId, reason });
    const verdict = await verifyBackup({
      region,
      keys: keys.keysIn(region),
      destroyedOwners: () => keys.destroyedOwners(),
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
    const { verified, checked } = verdict;
    const findings = [...passedOver, ...verdict.findings];
    return keep({ subject: manifest.backupId, region, startedAt, findings, verified, checked });
  }

  async function keep({
    subject,
    region,
    startedAt,
    findings,
    verified = [],
    checked = { backupId: subject },
  }: {
    readonly subject: BackupId;
    readonly region: RegionStore;
    readonly startedAt: Date;
    readonly findings: readonly Finding[];
    readonly verified?: readonly TenantId[];
    readonly checked?: Checked;
  }): Promise<VerificationView> {
    const ofTenants = (await samples.open()).length;
    const finishedAt = new Date(clock.now());
    const record = await pool.transaction(async (tx) => {
      await recordAudit(tx, {
        name: findings.length > 0 ? 'backup.verification_failed' : 'backup.verified',
        actor: 'system',
        subject,
        details: {
          region: region.region,
          ...(cluster !== 'main' && { server: cluster }),
          tenants: verified.length,
          ...(findings.length > 0 && { findings: findings.length, first: summarise(findings) }),
        },
      });
      return insertVerification(tx, {
        kind: 'backup',
        cluster,
        subject,
        region: region.region,
        startedAt,
        finishedAt,
        passed: findings.length === 0,
        findings,
        checked: { ...checked, ofTenants },
      });
    });
    // Afterwards: who is not marked because of a kill is only compared once more.
    await upsertVerifiedTenants(books, verified, finishedAt);
    if (findings.length > 0)
      log.error('a base backup is not what it should be', { cluster, region: region.region, findings });
    return toView(record);
  }

  /** The region to read next; undefined: all that is there was looked at. One that does not answer keeps no other from its turn. */
  async function findDue(): Promise<RegionStore | undefined> {
    const last = await lastInRegions();
    let away: unknown;
    for (const store of regionsInTurn(backups.regions, last)) {
      try {
        if (await isDue(store, last)) return store;
      } catch (error) {
        deps.signal.throwIfAborted();
        log.warn('a region does not say what it holds', { region: store.region, error });
        away ??= error;
      }
    }
    if (away) throw away;
    return undefined;
  }

  async function isDue(store: RegionStore, last: readonly Verification[]): Promise<boolean> {
    const { manifests, isNewestUnreadable } = await backupsOf(store);
    const [newest] = manifests;
    if (!newest || isNewestUnreadable) return isNewestUnreadable;
    // Also the first of a region; what failed in it, only it can mend.
    if (!last.find(({ region }) => region === store.region)?.passed) return true;
    const known = await selectVerifications(pool, { limit: 1, cluster, subject: newest.backupId, passed: true });
    if (known.length === 0) return true;
    const held = new Set(newest.databases.map(({ oid }) => oid));
    const turnOver = clock.now() - everyTenantMs;
    return (await selectTenantsToVerify(books)).some(
      ({ oid, verifiedAt }) => held.has(oid) && (verifiedAt?.getTime() ?? 0) < turnOver,
    );
  }

  return {
    async start({ backupId, region: wanted }) {
      const region = chooseRegion(backups.regions, wanted, await lastInRegions());
      if (backupId !== undefined && !isId('bak', backupId))
        throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail: backupId });
      return runs.start(region.region, (report) => verify(region, backupId, report)).run;
    },
    async runWhenDue() {
      const region = await findDue();
      if (region) await runs.startWhenFree(region.region, (report) => verify(region, undefined, report));
      const detail = describeFailed(await lastInRegions());
      if (detail) throw verificationErrors.FH_VERIFICATION_FAILED({ detail });
    },
  };
}

export async function listVerifications(
  pool: Pool,
  filter: { limit: number; subject?: string; tenantId?: string },
): Promise<VerificationView[]> {
  return (await selectVerifications(pool, filter)).map(toView);
}

function toView({ startedAt, finishedAt, ...record }: Verification): VerificationView {
  return { ...record, startedAt: startedAt.toISOString(), finishedAt: finishedAt.toISOString() };
}
