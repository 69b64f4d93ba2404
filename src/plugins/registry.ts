import type { RecordAudit } from '#src/audit/types.ts';
import { type Clock, failpoint, type Log, newId, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ControlDatabase, Tenant } from '#src/tenants/index.ts';
import { pluginErrors } from './errors.ts';
import { nextRunOf } from './manifest.ts';
import { parsePluginPackage } from './package.ts';
import * as sql from './sql.ts';
import { deleteState, findLastPosition } from './state.ts';
import type { Plugin } from './types.ts';

/** Where packages lie for the sandbox: read-only, by digest, like versions of apps. */
export interface PluginStore {
  has(digest: string): Promise<boolean>;
  layOut(digest: string, content: Buffer): Promise<void>;
  /** Throws while a sandbox has it. */
  remove(digest: string): Promise<void>;
}

export interface PluginRegistryDeps {
  readonly db: ControlDatabase;
  readonly store: PluginStore;
  /** In the tenant's own database, as its platform role. */
  readonly transact: <T>(tenantId: TenantId, work: (db: Queryable) => Promise<T>) => Promise<T>;
  readonly removeLog: (tenantId: TenantId) => Promise<void>;
  /** Resolves when nothing of the plugin runs any more. */
  readonly endRuns: (tenantId: TenantId, name: string, reason: string) => Promise<void>;
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PluginRegistry {
  /** Adds it, or puts another version in its place; of the former one nothing runs any more. FH_PLUGIN_EDITION, FH_PLUGIN_INVALID. */
  add(tenant: Tenant, sent: Buffer, actor: string): Promise<Plugin>;
  list(tenantId: TenantId): Promise<Plugin[]>;
  /** FH_PLUGIN_NOT_FOUND */
  get(tenantId: TenantId, name: string): Promise<Plugin>;
  /** With what it has kept, unless told otherwise. */
  remove(tenant: Tenant, name: string, options: { actor: string; keepState: boolean }): Promise<void>;
  setState(tenant: Tenant, name: string, state: 'enabled' | 'disabled', actor: string): Promise<Plugin>;
  /** Disables those of tenants whose place a restored one has taken: two would write to other systems. */
  disableReplaced(): Promise<void>;
  /** Disables those of all tenants, until somebody enables them. @returns how many */
  disableAll(reason: string): Promise<number>;
  /** The plugin's code is where its sandbox looks for it. */
  ensureLaidOut(digest: string): Promise<void>;
  /** Those that failed so often that they run no more. */
  listFailed(): Promise<Plugin[]>;
  /** Removes plugins of tenants that are gone, and packages that nobody has. */
  sweep(): Promise<void>;
}

/** FH_PLUGIN_EDITION: nobody's code runs beside other tenants'. The one place that says so; asked for whatever adds or starts a plugin. */
export function requireEdition({ edition, name }: Pick<Tenant, 'edition' | 'name'>): void {
  if (edition !== 'private-cloud') throw pluginErrors.FH_PLUGIN_EDITION({ detail: `${name} has the Standard edition` });
}

export function createPluginRegistry(deps: PluginRegistryDeps): PluginRegistry {
  const { db, store, transact, recordAudit, clock, log } = deps;
  const now = () => new Date(clock.now());
  /** Packages are laid out and removed one after another. */
  let queue: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = queue.then(work, work);
    queue = next.catch(() => undefined);
    return next;
  }

  async function get(tenantId: TenantId, name: string): Promise<Plugin> {
    const found = await sql.findPlugin(db, tenantId, name);
    if (!found) throw pluginErrors.FH_PLUGIN_NOT_FOUND({ detail: name });
    return found;
  }

  function ensureLaidOut(digest: string): Promise<void> {
    return inTurn(async () => {
      if (await store.has(digest)) return;
      const content = await sql.findPackage(db, digest);
      if (!content) throw pluginErrors.FH_PLUGIN_BUSY({ detail: 'its package is gone' });
      await store.layOut(digest, content);
    });
  }

  /** A package that is in the books and not on the disk is laid out again; one that is on the disk alone takes a little room. */
  function removeUnused(): Promise<void> {
    return inTurn(async () => {
      for (const digest of await sql.deleteUnusedPackages(db)) {
        await failpoint('plugins.package.forgotten');
        await store.remove(digest).catch((error) => log.warn('a plugin could not be removed', { digest, error }));
      }
    });
  }

  /** By ourselves. */
  function disable(which: typeof sql.disableAll, reason: string): Promise<number> {
    return db.transaction(async (tx) => {
      const disabled = await which(tx);
      for (const { tenantId, name } of disabled) {
        const details = { plugin: name, reason };
        await recordAudit(tx, { name: 'plugin.disabled', actor: 'system', subject: tenantId, tenantId, details });
      }
      return disabled.length;
    });
  }

  return {
    async add(tenant, sent, actor) {
      requireEdition(tenant);
      const { manifest, digest, content } = await parsePluginPackage(sent);
      const { tenantId } = tenant;
      const eventPosition = await transact(tenantId, findLastPosition);
      const addedAt = now();
      const userId = newId('usr');
      const nextRunAt = nextRunOf(manifest, addedAt);
      await db.transaction(async (tx) => {
        await sql.insertPackage(tx, digest, content);
        await sql.putPlugin(tx, {
          tenantId,
          manifest,
          digest,
          userId,
          addedAt,
          addedBy: actor,
          nextRunAt,
          eventPosition,
        });
        await recordAudit(tx, {
          name: 'plugin.added',
          actor,
          subject: tenantId,
          tenantId,
          details: { plugin: manifest.name, version: manifest.version, digest, ...describe(manifest) },
        });
      });
      await failpoint('plugins.add.recorded');
      await deps.endRuns(tenantId, manifest.name, 'another version took its place');
      await ensureLaidOut(digest);
      await removeUnused();
      return get(tenantId, manifest.name);
    },
    list: (tenantId) => sql.selectPlugins(db, tenantId),
    get,

    async remove({ tenantId, state }, name, { actor, keepState }) {
      const plugin = await get(tenantId, name);
      const { version, digest } = plugin;
      // Nothing of it begins any more, or writes what is being deleted.
      await sql.setState(db, plugin, 'disabled', { nextRunAt: undefined, at: now() });
      await deps.endRuns(tenantId, name, 'it is being removed');
      // First what may be done again: who dies in between finds the plugin there still.
      if (!keepState && state === 'active') await transact(tenantId, (own) => deleteState(own, name));
      await failpoint('plugins.remove.state_deleted');
      await db.transaction(async (tx) => {
        if (!(await sql.deletePlugin(tx, tenantId, name))) return;
        await recordAudit(tx, {
          name: 'plugin.removed',
          actor,
          subject: tenantId,
          tenantId,
          details: { plugin: name, version, digest },
        });
      });
      await failpoint('plugins.remove.recorded');
      await removeUnused();
    },

    async setState(tenant, name, state, actor) {
      if (state === 'enabled') requireEdition(tenant);
      const { tenantId } = tenant;
      const plugin = await get(tenantId, name);
      const nextRunAt = state === 'enabled' ? nextRunOf(plugin.manifest, now()) : undefined;
      await db.transaction(async (tx) => {
        if (!(await sql.setState(tx, plugin, state, { nextRunAt, at: now() }))) return;
        await recordAudit(tx, {
          name: state === 'enabled' ? 'plugin.enabled' : 'plugin.disabled',
          actor,
          subject: tenantId,
          tenantId,
          details: { plugin: name },
        });
      });
      if (state === 'disabled') await deps.endRuns(tenantId, name, 'it was disabled');
      return get(tenantId, name);
    },

    async disableReplaced() {
      await disable(sql.disableReplaced, 'another tenant took the place of its tenant');
    },
    disableAll: (reason) => disable(sql.disableAll, reason),

    ensureLaidOut,
    listFailed: () => sql.selectFailed(db),

    async sweep() {
      for (const tenantId of await sql.selectOrphaned(db)) {
        // The log first: without the rows nobody would know of it.
        await deps.removeLog(tenantId);
        await sql.deletePluginsOf(db, tenantId);
      }
      await removeUnused();
    },
  };
}

/** What it may do, for the log of events. */
function describe({ capabilities }: Plugin['manifest']): Record<string, string> {
  const { api, events, schedule, outgoing } = capabilities;
  return {
    api: api ?? 'none',
    events: events.join(' '),
    schedule: schedule ?? 'none',
    outgoing: outgoing.join(' '),
  };
}
