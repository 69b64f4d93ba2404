import { recordAudit } from '#src/audit/index.ts';
import {
  type ContentPort,
  copyDump,
  type DumpRun,
  dumpErrors,
  dumpTenant,
  insertCopy,
  insertDump,
  longestUnchangedMs,
  type SurveyedContent,
  selectDumps,
  surveyDumps,
  upsertRun,
} from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { DumpedTenant } from '#src/console-api/index.ts';
import { type Clock, formatLsn, type Log, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import { type Pool, readFlushedPlace } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { OpenTenantReader, TenantReader } from './tenant-readers.ts';

/** Dumps of so many days are brought to a region that was away; older ones only when they are the newest of their tenant. */
const madeUpMs = 14 * 24 * 60 * 60_000;
/** Regions that all answered are listed again after this: what lies there changes by us alone. */
const surveyEveryMs = 12 * 60 * 60_000;

export interface DumpingOptions {
  readonly backups: Pick<BackupServices, 'clusterId' | 'regions'>;
  readonly binaries: Binaries;
  /** Control's own database. */
  readonly pool: Pool;
  readonly keys: Pick<BackupKeys, 'currentKey' | 'openKey'>;
  readonly content: ContentPort;
  readonly openReader: OpenTenantReader;
  /** Socket folder of the standby; undefined: there is none that follows. */
  readonly standbySocket: () => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Candidate {
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly state: 'active' | 'suspended';
  readonly cluster: string;
  readonly createdAt: Date;
}

/** Who looks on. */
export interface Teller {
  readonly onBytes?: (writtenBytes: number) => void;
  ended(tenant: DumpedTenant): void;
}

export type Dumping = ReturnType<typeof createDumping>;

/** What the job and the command do with tenants and regions; the caller sees to it that they do it one after the other. */
export function createDumping(options: DumpingOptions) {
  const { backups, pool, keys, clock, log } = options;
  const { regions } = backups;
  const now = () => new Date(clock.now());
  const noteRun = (run: Omit<DumpRun, 'endedAt'>) => upsertRun(pool, { ...run, endedAt: now() });
  let surveyed: { readonly at: number; readonly present: ReadonlySet<string> } | undefined;

  /** Makes table `dumps` say what lies in the regions. @returns those that answer */
  async function survey(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const isFresh = surveyed && surveyed.at + surveyEveryMs > clock.now() && surveyed.at <= clock.now();
    if (surveyed && isFresh && surveyed.present.size === regions.length) return surveyed.present;
    const present = new Set<string>();
    for (const region of regions) {
      try {
        await surveyDumps({ region, db: pool, keys, log, signal });
        present.add(region.region);
      } catch (error) {
        signal.throwIfAborted();
        log.warn('the dumps in a region could not be listed', { region: region.region, error });
      }
    }
    surveyed = { at: clock.now(), present };
    return present;
  }

  async function dumpOne(candidate: Candidate, always: boolean, signal: AbortSignal, tell: Teller) {
    const { tenantId } = candidate;
    const reader = await options.openReader(tenantId);
    try {
      await dumpRead(reader, candidate, always, signal, tell);
    } finally {
      await reader
        .close()
        .catch((error) => log.warn('the login of a reader could not be taken away', { tenantId, error }));
    }
  }

  async function dumpRead(
    { target: primary, isPassing }: TenantReader,
    { tenantId, tenantName, cluster }: Candidate,
    always: boolean,
    signal: AbortSignal,
    tell: Teller,
  ) {
    const newest = (await selectDumps(pool, tenantId))[0];
    const isKnown = (content: Pick<SurveyedContent, 'sha256' | 'unlogged'>, keyId: string) =>
      !always &&
      newest?.content?.sha256 === content.sha256 &&
      // Of what is in no backup the owner is told by the newest dump.
      newest.content.unlogged.join() === content.unlogged.join() &&
      newest.content.keyId === keyId &&
      // One that lies in a region that there is no longer is not there.
      regions.every(({ region }) => newest.regions.includes(region)) &&
      newest.madeAt.getTime() > clock.now() - longestUnchangedMs;
    // Of a suspended tenant the primary has nothing else to do, and a standby would not know the login yet. A server of its own keeps nobody else waiting.
    const standby = isPassing || cluster !== 'main' ? undefined : options.standbySocket();
    const { lsn } = await readFlushedPlace(pool);
    const result = await dumpTenant({
      clusterId: backups.clusterId,
      tenantId,
      sources: [
        ...(standby ? [{ server: 'standby', target: { ...primary, host: standby } } as const] : []),
        { server: 'primary', target: primary },
      ],
      writtenLsn: formatLsn(lsn),
      regions,
      keys,
      content: options.content,
      binaries: options.binaries,
      isKnown,
      log,
      clock,
      signal,
      onBytes: tell.onBytes,
    });
    if (result.outcome === 'unchanged') {
      await noteRun({ tenantId, outcome: 'unchanged', dumpId: newest!.dumpId, error: null });
      return tell.ended({ tenantId, tenantName, outcome: 'unchanged', dumpId: newest!.dumpId, server: result.server });
    }
    const complete = result.regions.filter((each) => each.complete).map(({ region }) => region);
    const { header, sizeBytes, content } = result;
    const { dumpId, server } = header;
    await pool.transaction(async (tx) => {
      await insertDump(tx, { header, content, sizeBytes, regions: complete });
      await upsertRun(tx, { tenantId, endedAt: now(), outcome: 'stored', dumpId, error: null });
    });
    tell.ended({ tenantId, tenantName, outcome: 'stored', dumpId, server, sizeBytes, regions: complete });
  }

  /** Each tenant by itself: one that cannot be dumped keeps nobody else from being. Rejects at the end when one failed. */
  async function dumpAll(candidates: readonly Candidate[], always: boolean, signal: AbortSignal, tell: Teller) {
    const failed: string[] = [];
    for (const candidate of candidates) {
      signal.throwIfAborted();
      try {
        await dumpOne(candidate, always, signal, tell);
      } catch (error) {
        signal.throwIfAborted();
        const { tenantId, tenantName } = candidate;
        if (!(await isDumpable(pool, tenantId))) continue;
        const { code, message } = toFreeholdError(error);
        log.error('a tenant could not be dumped', { tenantId, error });
        failed.push(tenantName);
        await noteRun({ tenantId, outcome: 'failed', dumpId: null, error: { code, text: message } });
        await recordAudit(pool, {
          name: 'backup.dump_failed',
          actor: 'system',
          subject: tenantId,
          tenantId,
          details: { code },
        });
        tell.ended({ tenantId, tenantName, outcome: 'failed', error: { code, text: message } });
      }
    }
    if (failed.length > 0) throw dumpErrors.FH_DUMP_FAILED({ detail: failed.slice(0, 10).join(', ') });
  }

  /** Brings to each region that answers what it lacks of the others. */
  async function makeUp(present: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const seen = new Set<TenantId>();
    for (const dump of await selectDumps(pool)) {
      const isNewest = !seen.has(dump.tenantId);
      seen.add(dump.tenantId);
      if (!isNewest && dump.madeAt.getTime() < clock.now() - madeUpMs) continue;
      const lacking = regions.filter(({ region }) => present.has(region) && !dump.regions.includes(region));
      const from = regions.find(({ region }) => present.has(region) && dump.regions.includes(region));
      for (const to of from ? lacking : []) {
        try {
          await copyDump({ from: from!, to, dump, keys, signal });
          await insertCopy(pool, { ...dump, region: to.region, storedAt: now() });
        } catch (error) {
          signal.throwIfAborted();
          const { code } = toFreeholdError(error);
          if (code !== 'FH_KEY_DESTROYED') log.warn('a dump could not be made up', { to: to.region, error });
        }
      }
    }
  }

  return { survey, dumpAll, makeUp };
}

const dumpable = `state IN ('active', 'suspended') AND database_name IS NOT NULL`;

/** Whoever can be dumped now, by name. */
export async function listCandidates(pool: Pool): Promise<Candidate[]> {
  return pool.query<Candidate & Record<string, unknown>>(
    `SELECT tenant_id AS "tenantId", name AS "tenantName", state, cluster, created_at AS "createdAt" FROM tenants WHERE ${dumpable} ORDER BY name`,
  );
}

async function isDumpable(pool: Pool, tenantId: TenantId): Promise<boolean> {
  const rows = await pool.query(`SELECT 1 FROM tenants WHERE tenant_id = $1 AND ${dumpable}`, [tenantId]);
  return rows.length > 0;
}
