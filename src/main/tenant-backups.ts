import { recordAudit } from '#src/audit/index.ts';
import { judgeDump, selectDumps, selectDumpVerifications, selectRuns } from '#src/backups/index.ts';
import type { BackupDeps, RestorePointDeps } from '#src/console-api/index.ts';
import { createBackupsServer, type TenantBackups, type TenantBackupsPort } from '#src/gateway/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import { encryptToAge, parseAgeRecipient } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Places, Residency } from '#src/tenants/index.ts';
import type { Child } from './child.ts';
import type { ControlServices } from './control-services.ts';
import { createDownloadConfirmations } from './download-confirmations.ts';
import type { DumpServices } from './dumps.ts';
import type { Folders } from './folders.ts';

/** Many owners look at once; a region is asked for its base backups this often at most. */
const freshMs = 60_000;

/** What owners are told about their backups, and the way of a dump out of the installation. Gateways ask; see decision 0015. */
export function createTenantBackups({
  dumps,
  baseBackups,
  restorePoints,
  places,
  db,
  clock,
  log,
}: {
  readonly places: Places;
  readonly dumps: Pick<DumpServices, 'openNewest'>;
  readonly baseBackups: Pick<BackupDeps, 'list'>;
  readonly restorePoints: RestorePointDeps;
  /** Control's own database. */
  readonly db: Queryable;
  readonly clock: Clock;
  readonly log: Log;
}): TenantBackupsPort {
  const confirmations = createDownloadConfirmations(clock);
  let seen: { readonly atMs: number; readonly list: ReturnType<BackupDeps['list']> } | undefined;

  function listBaseBackups(): ReturnType<BackupDeps['list']> {
    const nowMs = clock.monotonicMs();
    if (!seen || seen.atMs + freshMs < nowMs) {
      seen = { atMs: nowMs, list: baseBackups.list() };
      seen.list.catch(() => {
        seen = undefined;
      });
    }
    return seen.list;
  }

  return {
    async overview(tenantId) {
      const [{ backups }, points, found] = await Promise.all([
        listBaseBackups(),
        restorePoints.restorePoints(tenantId),
        findTenant(db, tenantId),
      ]);
      const stretches = points.regions.flatMap((region) => region.stretches.slice(-1));
      const restorable = stretches.sort((one, other) => one.from.localeCompare(other.from))[0];
      // A backup that began before the account was there does not hold it.
      const lastBackup = backups.find(({ startedAt }) => found && Date.parse(startedAt) >= found.createdAt.getTime());
      return {
        lastBackup: lastBackup ? { finishedAt: lastBackup.finishedAt } : null,
        lastVerification: await findLastVerification(db, tenantId),
        dump: await describeDump(db, tenantId),
        restorable: restorable ?? null,
        location: {
          home: places.home ?? null,
          copies: places.regions.map(({ place }) => place ?? null),
          residency: found?.residency ?? null,
        },
      };
    },

    async confirm(who) {
      return confirmations.give(who);
    },

    async open(who, request) {
      // What can be said without using the confirmation up is said before.
      const recipient = request.recipient === undefined ? undefined : parseAgeRecipient(request.recipient);
      confirmations.take(who, request);
      const { header, content, contentBytes } = await dumps.openNewest(who.tenantId);
      try {
        await recordAudit(db, {
          name: 'backup.downloaded',
          actor: `user:${who.userId}`,
          subject: header.dumpId,
          tenantId: who.tenantId,
          details: { form: recipient ? 'age' : 'plain' },
        });
      } catch (error) {
        await content.return?.();
        throw error;
      }
      log.info('a dump leaves the installation', { tenantId: who.tenantId, dumpId: header.dumpId });
      return {
        dumpId: header.dumpId,
        madeAt: header.madeAt,
        ...(recipient
          ? { content: encryptToAge(recipient, content) }
          : { content, ...(contentBytes !== undefined && { sizeBytes: contentBytes }) }),
      };
    },
  };
}

/** Opens the socket on which gateways ask, when backups are made. */
export async function startBackupsLink(services: ControlServices, folders: Folders, child: Child): Promise<void> {
  const { dumps, baseBackups, restorePoints, places, pool, clock } = services;
  if (!dumps || !baseBackups || !restorePoints) return;
  const { log, shutdown } = child;
  const port = createTenantBackups({ places, dumps, baseBackups, restorePoints, db: pool, clock, log });
  // The folder is entered only by control and the gateways, as for the link.
  const server = createBackupsServer({ socketPath: folders.backupsSocket, mode: 0o666, port, log });
  await server.start();
  shutdown.add('downloads of dumps', 5_000, () => server.stop());
}

async function describeDump(db: Queryable, tenantId: TenantId): Promise<TenantBackups['dump']> {
  const [newest] = await selectDumps(db, tenantId);
  if (!newest) return null;
  const { dumpId, madeAt, sizeBytes, regions } = newest;
  const ofDump = (await selectDumpVerifications(db, tenantId)).filter((each) => each.dumpId === dumpId);
  const verification = judgeDump(newest, ofDump);
  const run = (await selectRuns(db)).find((each) => each.tenantId === tenantId && each.outcome === 'unchanged');
  return {
    dumpId,
    madeAt: madeAt.toISOString(),
    sizeBytes,
    regions: regions.length,
    unchangedUntil: run?.dumpId === dumpId ? run.endedAt.toISOString() : null,
    verification: verification
      ? { finishedAt: verification.finishedAt.toISOString(), passed: verification.passed }
      : null,
    unloggedTables: newest.content?.unlogged ?? [],
  };
}

async function findTenant(
  db: Queryable,
  tenantId: TenantId,
): Promise<{ createdAt: Date; residency: Residency | null } | undefined> {
  const [row] = await db.query<{ createdAt: Date; residency: Residency | null }>(
    `SELECT created_at AS "createdAt",
       CASE WHEN residency IS NOT NULL THEN jsonb_build_object('home', residency, 'copies', residency_copies) END AS residency
     FROM tenants WHERE tenant_id = $1`,
    [tenantId],
  );
  return row;
}

/** The newest; when the newest of some region failed, that one, for a week: what another region gives back does not mend it. */
async function findLastVerification(db: Queryable, tenantId: TenantId): Promise<TenantBackups['lastVerification']> {
  const [row] = await db.query<{ kind: 'backup' | 'dump'; finishedAt: Date; passed: boolean }>(
    `WITH newest AS (
       SELECT DISTINCT ON (kind, region) kind, region, finished_at, passed, verification_id FROM verifications
       WHERE (kind = 'dump' AND tenant_id = $1) OR (kind = 'backup' AND (tenant_id IS NULL OR tenant_id = $1)
         AND cluster = (SELECT cluster FROM tenants WHERE tenant_id = $1))
       ORDER BY kind, region, finished_at DESC, verification_id DESC)
     SELECT kind, finished_at AS "finishedAt", passed FROM newest
     WHERE finished_at > (SELECT max(finished_at) FROM newest) - interval '7 days'
     ORDER BY passed, finished_at DESC, verification_id DESC LIMIT 1`,
    [tenantId],
  );
  return row ? { kind: row.kind, finishedAt: row.finishedAt.toISOString(), passed: row.passed } : null;
}
