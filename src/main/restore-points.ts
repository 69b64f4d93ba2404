import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  findRestorable,
  loadTenantLedger,
  type ShippingReport,
  type TenantLedger,
} from '#src/backups/index.ts';
import type { NamedPoint, RegionMoments, RestorePointDeps } from '#src/console-api/index.ts';
import type { Clock, ClusterId, Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Operation, OperationKind, Tenant, TenantLifecycle } from '#src/tenants/index.ts';

/** How old what was seen of a region may be. */
const freshMs = 60_000;
/** Of a region in which nothing can be restored yet: there is little to look at, and somebody waits for it. */
const freshWhileEmptyMs = 2_000;

/** Of all that a region holds, what restorable moments follow from: not the files and dumps of tenants, which are many. */
const prefixes = ['base/', 'data/', 'history/', 'segments/', 'wal/'];

export interface RestorePointsOptions {
  readonly clusterId: ClusterId;
  readonly regions: readonly RegionStore[];
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly shipping: () => ShippingReport | undefined;
  readonly lifecycle: Pick<TenantLifecycle, 'getTenant' | 'listOperations'>;
  /** Control's own database. */
  readonly db: Queryable;
  readonly clock: Clock;
  readonly log: Log;
}

interface Seen {
  readonly catalogue: Catalogue;
  readonly at: number;
}

/**
 * Restorable moments per region, for the page that lets people choose one. Cheap: a region is listed once a minute while somebody looks, whatever was read
 * before is not read again, and what reached a region since counts as shipped because the shipper says so.
 */
export function createRestorePoints(options: RestorePointsOptions): RestorePointDeps {
  const { clusterId, clock, log } = options;
  const seen = new Map<string, Seen>();
  const looking = new Map<string, Promise<Catalogue>>();

  async function look(region: RegionStore): Promise<Catalogue> {
    const at = clock.now();
    const previous = seen.get(region.region)?.catalogue;
    const catalogue = await buildCatalogue({
      region: {
        region: region.region,
        async *list() {
          for (const prefix of prefixes) yield* region.list(prefix);
        },
      },
      reader: createCatalogueReader(region, options.keys),
      ...(previous && { previous }),
    });
    seen.set(region.region, { catalogue, at });
    return catalogue;
  }

  /** Asked by many at once, a region is looked at once. */
  function lookOnce(region: RegionStore): Promise<Catalogue> {
    const running = looking.get(region.region) ?? look(region).finally(() => looking.delete(region.region));
    looking.set(region.region, running);
    return running;
  }

  async function momentsIn(region: RegionStore, oid: number): Promise<RegionMoments> {
    const find = (catalogue: Catalogue) => findRestorable({ catalogue, clusterId, oid });
    const last = seen.get(region.region);
    let found = last ? find(last.catalogue) : [];
    let isAway = false;
    const isOld = !last || clock.now() - last.at > (found.length > 0 ? freshMs : freshWhileEmptyMs);
    if (isOld)
      try {
        found = find(await lookOnce(region));
      } catch (error) {
        log.warn('what a region can restore could not be seen', { region: region.region, error });
        isAway = true;
      }
    const shippedUntil = shippedUntilOf(options.shipping(), region.region, clock.now());
    return {
      region: region.region,
      stretches: found
        .map(({ from, to, isOpen }) => ({ from, to: isOpen && shippedUntil > to ? shippedUntil : to }))
        .filter(({ from, to }) => to > from)
        .map(({ from, to }) => ({ from: from.toISOString(), to: to.toISOString() })),
      isAway,
    };
  }

  return {
    async restorePoints(idOrName) {
      const tenant = await options.lifecycle.getTenant(idOrName);
      const [ledger, operations] = await Promise.all([
        loadTenantLedger(options.db, tenant.tenantId),
        options.lifecycle.listOperations({ tenantId: tenant.tenantId, limit: 200 }),
      ]);
      const life = lifeOf(ledger);
      const found =
        life && isReadable(tenant)
          ? await Promise.all(options.regions.map((region) => momentsIn(region, life.oid)))
          : options.regions.map(({ region }): RegionMoments => ({ region, stretches: [], isAway: false }));
      const { from = '', to = '9' } = life ?? {};
      return {
        now: new Date(clock.now()).toISOString(),
        regions: found.map((each) => ({ ...each, stretches: clip(each.stretches, from, to) })),
        points: [...pointsOf(ledger), ...operations.flatMap((operation) => toPoint(operation, tenant))].sort((a, b) =>
          a.at.localeCompare(b.at),
        ),
      };
    },
  };
}

/** What was committed until then is in the region: all of it, or all but what the oldest owed byte has waited for. */
function shippedUntilOf(report: ShippingReport | undefined, region: string, now: number): Date {
  const lagMs = report?.regions.find((each) => each.region === region)?.lagMs;
  return new Date(lagMs === undefined ? 0 : now - lagMs);
}

/** The key of a deleted tenant is destroyed when its grace is over: nobody opens its backups any more. */
function isReadable({ state, keyDueAt }: { state: string; keyDueAt?: Date | undefined }): boolean {
  return state !== 'deleted' || keyDueAt !== undefined;
}

/** The database of a tenant, and between which moments it was in use. undefined: there never was one. */
function lifeOf(ledger: TenantLedger): { oid: number; from: string; to: string } | undefined {
  const oid = ledger.findLast(({ databaseOid }) => databaseOid !== undefined)?.databaseOid;
  const born = ledger.find(({ state, databaseOid }) => databaseOid !== undefined && state !== 'creating');
  if (oid === undefined || !born) return undefined;
  const gone = ledger.find(({ state }) => state === 'deleting' || state === 'deleted');
  return { oid, from: born.at.toISOString(), to: gone?.at.toISOString() ?? '9' };
}

function clip(stretches: RegionMoments['stretches'], from: string, to: string): RegionMoments['stretches'] {
  return stretches
    .map((stretch) => ({
      from: stretch.from > from ? stretch.from : from,
      to: stretch.to < to ? stretch.to : to,
    }))
    .filter((stretch) => stretch.to > stretch.from);
}

/** What the ledger tells: its times are those just before the change. */
function pointsOf(ledger: TenantLedger): NamedPoint[] {
  const points: NamedPoint[] = [];
  for (const [index, entry] of ledger.entries()) {
    const before = ledger[index - 1];
    const add = (kind: NamedPoint['kind'], text: string) => points.push({ at: entry.at.toISOString(), kind, text });
    if (before && before.tenantName !== entry.tenantName)
      add('renamed', `Renamed from ${before.tenantName} to ${entry.tenantName}`);
    if (!before || before.state === entry.state) continue;
    if (entry.state === 'active' && before.state === 'suspended') add('resumed', 'Resumed');
    else if (entry.state === 'suspended' && before.state === 'active') add('suspended', 'Suspended');
    else if (entry.state === 'deleting') add('deleted', 'Deletion began');
  }
  return points;
}

/** Those that the ledger does not tell of. */
const operationWords: Partial<Record<OperationKind, string>> = {
  clone: 'Cloned',
  export: 'Exported',
  restore: 'Restored',
};

function toPoint({ kind, state, startedAt, tenantId, tenantName }: Operation, tenant: Tenant): NamedPoint[] {
  const words = operationWords[kind];
  if (!words || state === 'undone') return [];
  // Of a clone and a restore, the one that it was made from; its own beginning is told as such.
  const isOther = tenantId !== tenant.tenantId;
  if (kind !== 'export' && !isOther) return [];
  return [{ at: startedAt.toISOString(), kind: 'operation', text: isOther ? `${words} as ${tenantName}` : words }];
}
