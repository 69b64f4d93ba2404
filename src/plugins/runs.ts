import type { RecordAudit } from '#src/audit/types.ts';
import { type Clock, type Log, newId, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type ControlDatabase, type Tenant, tenantErrors } from '#src/tenants/index.ts';
import { pluginErrors } from './errors.ts';
import type { PluginKeeper } from './link.ts';
import { nextRunOf } from './manifest.ts';
import { createPlaces } from './places.ts';
import { type PluginRegistry, requireEdition } from './registry.ts';
import * as sql from './sql.ts';
import { answerStateCall } from './state.ts';
import type { Plugin, PluginEnd, PluginInput, StateAnswer, StateCall } from './types.ts';

export interface PluginRunsDeps {
  readonly db: ControlDatabase;
  readonly registry: PluginRegistry;
  readonly keeper: Pick<PluginKeeper, 'run' | 'end'>;
  readonly getTenant: (idOrName: string) => Promise<Tenant>;
  readonly transact: <T>(tenantId: TenantId, work: (db: Queryable) => Promise<T>) => Promise<T>;
  readonly tenantUrl: (name: string) => string;
  /** A token of the plugin's own at the tenant's API, in the tenant's database. `revoke` ends it before its time. */
  readonly tokens: {
    issue(
      db: Queryable,
      who: { userId: string; name: string; scope: 'read' | 'write'; lifetimeSeconds: number },
    ): Promise<{ readonly token: string; readonly tokenId: string }>;
    revoke(db: Queryable, tokenId: string): Promise<void>;
  };
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PluginRuns {
  /** Once, now. FH_PLUGIN_EDITION, FH_PLUGIN_DISABLED, FH_PLUGIN_BUSY while it runs, FH_PLUGIN_STOPPED when it was ended; that the plugin failed is no error. */
  run(plugin: Plugin, input: Omit<PluginInput, 'at'>): Promise<PluginEnd>;
  /** Ends what runs of a plugin, or of all of a tenant's: its token, its calls, its process. Resolves when it has ended. */
  end(tenantId: TenantId, name: string | undefined, reason: string): Promise<void>;
  /** Ends what may not run any more: the tenant was closed meanwhile, or moved to Standard. */
  endForbidden(): Promise<void>;
  /** For the keeper, of a run that is under way. FH_PLUGIN_REFUSED. */
  state(runId: string, call: StateCall): Promise<StateAnswer>;
  /** Resolves when nothing runs any more. */
  settled(): Promise<void>;
}

/** Of an installation, and of one tenant. */
const mostAtOnce = { total: 4, perOwner: 2 };
/** In a row; then a person has to look. */
export const mostFailures = 5;
const firstRetryMs = 10_000;

/** A run from its first step to its last. */
interface UnderWay {
  readonly plugin: Plugin;
  tokenId: string | undefined;
  /** Why it was ended. */
  ended: string | undefined;
}

export function createPluginRuns(deps: PluginRunsDeps): PluginRuns {
  const { db, registry, keeper, transact, clock, log } = deps;
  /** By run id. */
  const underWay = new Map<string, UnderWay>();
  const running = new Map<string, Promise<unknown>>();
  const places = createPlaces(mostAtOnce);
  const keyOf = ({ tenantId, name }: Pick<Plugin, 'tenantId' | 'name'>) => `${tenantId} ${name}`;

  /** As it is now: the tenant may have been closed or moved to Standard, the plugin disabled or gone. */
  async function requireRunnable({ tenantId, name }: Plugin): Promise<{ tenant: Tenant; plugin: Plugin }> {
    const tenant = await deps.getTenant(tenantId);
    requireEdition(tenant);
    if (tenant.state !== 'active') throw tenantErrors.FH_TENANT_NOT_ACTIVE({ detail: `it is ${tenant.state}` });
    const plugin = await registry.get(tenantId, name);
    if (plugin.state === 'disabled') throw pluginErrors.FH_PLUGIN_DISABLED({ detail: name });
    return { tenant, plugin };
  }

  async function attempt(known: Plugin, input: Omit<PluginInput, 'at'>): Promise<PluginEnd> {
    const runId = newId('run');
    const own: UnderWay = { plugin: known, tokenId: undefined, ended: undefined };
    // Before it is looked at: whoever disables it from here on finds it and ends it, whoever did before is seen.
    underWay.set(runId, own);
    try {
      const { tenant, plugin } = await requireRunnable(known);
      const { tenantId, name, manifest, digest, place, userId } = plugin;
      const at = new Date(clock.now());
      await sql.beginRun(db, plugin, input.trigger, at, nextRunOf(manifest, at));
      await registry.ensureLaidOut(digest);
      const { timeoutSeconds, memoryMb } = manifest.limits;
      const { api, outgoing } = manifest.capabilities;
      const who = { userId, name, lifetimeSeconds: timeoutSeconds + 60 };
      const issued = api && (await transact(tenantId, (tx) => deps.tokens.issue(tx, { ...who, scope: api })));
      own.tokenId = issued?.tokenId;
      if (own.ended !== undefined) throw stopped(own);
      const end = await keeper.run({
        runId,
        tenantId,
        name,
        digest,
        place,
        entry: manifest.entry,
        memoryBytes: memoryMb * 2 ** 20,
        timeoutMs: timeoutSeconds * 1_000,
        outgoing,
        api: api && issued ? { access: api, token: issued.token } : undefined,
        tenant: { id: tenantId, name: tenant.name, url: deps.tenantUrl(tenant.name) },
        input: { ...input, at: at.toISOString() },
      });
      // That it was ended says nothing of the plugin.
      if (own.ended !== undefined && end.outcome === 'failed') throw stopped(own);
      return end;
    } finally {
      underWay.delete(runId);
      await revokeToken(own);
    }
  }

  const stopped = ({ ended }: UnderWay) => pluginErrors.FH_PLUGIN_STOPPED({ detail: ended! });

  async function revokeToken(own: UnderWay): Promise<void> {
    const { tokenId, plugin } = own;
    if (tokenId === undefined) return;
    await transact(plugin.tenantId, (tx) => deps.tokens.revoke(tx, tokenId)).then(
      () => {
        own.tokenId = undefined;
      },
      (error) => log.warn('a token of a plugin stays until it expires', { tenantId: plugin.tenantId, error }),
    );
  }

  /** The token first: that a process goes may take a moment. */
  async function endRun(runId: string, own: UnderWay, reason: string): Promise<void> {
    own.ended ??= reason;
    await revokeToken(own);
    await keeper.end(runId, reason).catch((error) => log.warn('a plugin could not be ended', { runId, error }));
    await running.get(keyOf(own.plugin));
  }

  /** What failed too often in a row is not tried any more. */
  async function settle(plugin: Plugin, { reason }: Pick<PluginEnd, 'reason'>): Promise<void> {
    const retryMs = firstRetryMs * 2 ** Math.min(plugin.failures, 8);
    const retryAt = reason === undefined ? undefined : new Date(clock.now() + retryMs);
    const failures = await sql.endRun(db, plugin, reason, retryAt);
    if (failures === undefined || failures < mostFailures || plugin.state !== 'enabled') return;
    const { tenantId, name, version } = plugin;
    await db.transaction(async (tx) => {
      if (!(await sql.setState(tx, plugin, 'failed', { nextRunAt: undefined, at: new Date(clock.now()) }))) return;
      await deps.recordAudit(tx, {
        name: 'plugin.failed',
        actor: 'system',
        subject: tenantId,
        tenantId,
        details: { plugin: name, version, failures, reason: reason ?? '' },
      });
    });
    log.error('a plugin failed too often and runs no more', { tenantId, plugin: name, failures });
  }

  return {
    run(plugin, input) {
      const key = keyOf(plugin);
      if (running.has(key)) return Promise.reject(pluginErrors.FH_PLUGIN_BUSY({ detail: 'it runs already' }));
      const run = places
        .hold(plugin.tenantId, async () => {
          const end = await attempt(plugin, input).catch(async (error) => {
            // Begun and not brought to an end: that says nothing of the plugin.
            const retryAt = new Date(clock.now() + firstRetryMs);
            await sql.giveBack(db, plugin, toFreeholdError(error).message.split('\n')[0]!.slice(0, 500), retryAt);
            throw error;
          });
          await settle(plugin, end);
          return end;
        })
        .finally(() => running.delete(key));
      running.set(
        key,
        run.catch(() => undefined),
      );
      return run;
    },
    async end(tenantId, name, reason) {
      const meant = [...underWay].filter(
        ([, { plugin }]) => plugin.tenantId === tenantId && (name === undefined || plugin.name === name),
      );
      await Promise.all(meant.map(([runId, own]) => endRun(runId, own, reason)));
    },
    async endForbidden() {
      const begun = [...underWay];
      if (begun.length === 0) return;
      const allowed = new Set(
        (await sql.selectAllowed(db, [...new Set(begun.map(([, own]) => own.plugin.tenantId))])).map(keyOf),
      );
      const forbidden = begun.filter(([, { plugin }]) => !allowed.has(keyOf(plugin)));
      const reason = 'its tenant is closed or may have no plugins any more';
      await Promise.all(forbidden.map(([runId, own]) => endRun(runId, own, reason)));
    },
    async state(runId, call) {
      const own = underWay.get(runId);
      if (!own || own.ended !== undefined) throw pluginErrors.FH_PLUGIN_REFUSED({ detail: 'its run is over' });
      const { plugin } = await requireRunnable(own.plugin);
      return transact(plugin.tenantId, (tx) => answerStateCall(tx, plugin.name, call));
    },
    async settled() {
      await Promise.all(running.values());
    },
  };
}
