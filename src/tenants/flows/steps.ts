import type { OperationId, TenantId } from '#src/kernel/index.ts';
import { createSealer, type KeyStore } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Credentials } from '../credentials.ts';
import { tenantErrors } from '../errors.ts';
import type { Step, StepContext } from '../flow.ts';
import { activateName, claimName, releaseClaim } from '../names-sql.ts';
import { type Facts, lockTenants, storeSecretResult } from '../operations-sql.ts';
import type { DatabasePool } from '../pool.ts';
import type { LifecycleDeps } from '../ports.ts';
import {
  findTenant,
  forgetTenant,
  insertTenant,
  lockTenant,
  moveTenant,
  type NewTenant,
  setDatabaseName,
} from '../sql.ts';
import { assertAllowed } from '../transitions.ts';
import type { OperationKind, Tenant } from '../types.ts';

export interface FlowDeps extends LifecycleDeps {
  readonly credentials: Credentials;
  readonly pool: DatabasePool;
}

export const dayMs = 24 * 60 * 60 * 1_000;

export function nowOf(deps: FlowDeps): Date {
  return new Date(deps.clock.now());
}

export function heldUntilOf(deps: FlowDeps): Date {
  return new Date(deps.clock.now() + (deps.settings.nameHoldDays ?? 90) * dayMs);
}

/** An operation on a tenant that exists: it is there, no other operation has it, and its state allows this. */
export async function beginOnTenant(
  tx: Queryable,
  kind: OperationKind,
  { tenantId, operationId }: { tenantId: TenantId | undefined; operationId: OperationId },
): Promise<{ tenantId: TenantId; tenant: Tenant }> {
  if (!tenantId || !(await findTenant(tx, tenantId))) throw tenantErrors.FH_TENANT_NOT_FOUND();
  await lockTenants(tx, [tenantId], operationId);
  assertAllowed(kind, (await lockTenant(tx, tenantId)).state);
  return { tenantId, tenant: (await findTenant(tx, tenantId))! };
}

/** A new tenant and its claim on a name, which may be held back for `heirOf`; when it is taken, the whole transaction is refused. */
export async function beginNewTenant(
  tx: Queryable,
  deps: FlowDeps,
  tenant: NewTenant,
  operationId: OperationId,
  heirOf?: TenantId,
): Promise<void> {
  const now = nowOf(deps);
  await insertTenant(tx, tenant, now);
  await lockTenants(tx, [tenant.tenantId], operationId);
  await claimName(tx, tenant.name, tenant.tenantId, now, heirOf);
}

/**
 * What a new tenant of this app runs; undefined: the app runs inside the gateway. FH_TENANT_APP_UNKNOWN with `app` as detail when it can be hosted in
 * neither way.
 */
export async function pinAppVersion(
  tx: Queryable,
  { settings, appVersions }: FlowDeps,
  app: string,
  { app: detail, preferred }: { readonly app: string; readonly preferred?: string | undefined },
): Promise<string | undefined> {
  if (settings.apps.includes(app)) return undefined;
  const version = await appVersions?.pinVersion(tx, app, preferred);
  if (version !== undefined) return version;
  const apps = [...settings.apps, ...((await appVersions?.listApps(tx)) ?? [])];
  throw tenantErrors.FH_TENANT_APP_UNKNOWN({
    detail,
    hint: `Use one of: ${apps.join(', ')}. An app of your own is added with: ./freehold app add FOLDER`,
  });
}

export function keyStep(deps: FlowDeps): Step {
  return {
    name: 'key',
    run: ({ tenantId }) => deps.keys.createTenantKey(tenantId),
    undo: ({ tenantId }) => deps.keys.destroyTenantKey(tenantId),
  };
}

/** Takes a prepared database or makes one. Its name is recorded first, so that an undo knows what to drop. */
export function databaseStep(deps: FlowDeps): Step {
  return {
    name: 'database',
    async run(context) {
      const tenant = await context.tenant();
      if (context.memo.databaseReady && tenant.databaseName) return;
      const { cluster } = tenant;
      const { template, version } = await deps.databases.ensureTemplate(tenant.app, cluster);
      let name = tenant.databaseName;
      if (!name) {
        name = await deps.db.transaction(async (tx) => {
          // Only the main server has any.
          const prepared = cluster === 'main' ? await deps.pool.take(tx, tenant.app, version) : undefined;
          const taken = prepared ?? deps.databases.newDatabaseName(cluster);
          await setDatabaseName(tx, context.tenantId, taken);
          await context.remember({ databaseReady: prepared !== undefined }, tx);
          return taken;
        });
        if (context.memo.databaseReady) return;
      }
      await deps.databases.createDatabase(name, { template });
      await context.remember({ databaseReady: true });
    },
    undo: dropOwnDatabase(deps),
  };
}

export function dropOwnDatabase(deps: FlowDeps): (context: StepContext) => Promise<void> {
  return async (context) => {
    const { databaseName } = await context.tenant();
    if (databaseName) await deps.databases.dropDatabase(databaseName);
    await setDatabaseName(deps.db, context.tenantId, null);
  };
}

/** Lets the tenant's roles in, with its own passwords. */
export function openStep(deps: FlowDeps): Step {
  return {
    name: 'open',
    async run({ tenantId, tenant }) {
      const { databaseName } = await tenant();
      await deps.databases.openDatabase(requireDatabase(databaseName), await deps.credentials.ensure(tenantId));
    },
  };
}

/** Prepared databases were migrated with their template; this proves it, and brings an older one forward. */
export function migrationsStep(deps: FlowDeps): Step {
  return {
    name: 'migrations',
    async run({ tenant }) {
      const { databaseName, app } = await tenant();
      await deps.databases.migrateDatabase(requireDatabase(databaseName), app);
    },
  };
}

/** The last step of every birth: prepares what `goLive` does in the operation's last transaction. */
export function hostStep(deps: FlowDeps): Step {
  return {
    name: 'host',
    run: async ({ tenant, setResult }) => setResult({ url: deps.settings.tenantUrl((await tenant()).name) }),
  };
}

/**
 * Only now do gateways answer for the name. In one transaction with the end of the operation: a tenant that answers is one whose
 * creation can no longer fail and be taken back.
 */
export async function goLive(tx: Queryable, deps: FlowDeps, { tenantId }: StepContext): Promise<Tenant> {
  const tenant = (await findTenant(tx, tenantId))!;
  await activateName(tx, tenantId, tenant.name, heldUntilOf(deps));
  await moveTenant(tx, tenantId, 'active', nowOf(deps));
  return tenant;
}

/** After everything was taken back: the name is free again at once, because nobody ever used it. */
export async function abandonNewTenant(tx: Queryable, deps: FlowDeps, { tenantId }: StepContext): Promise<void> {
  await releaseClaim(tx, tenantId);
  await moveTenant(tx, tenantId, 'deleted', nowOf(deps));
  await forgetTenant(tx, tenantId);
}

/** Keeps something that may be shown once, sealed so that the database alone does not reveal it, and what may be shown always. */
export async function keepSecretResult(
  deps: FlowDeps,
  context: StepContext,
  secret: Facts,
  result: Facts,
): Promise<void> {
  const sealed = (await secretSealer(deps.keys, context.tenantId)).seal(
    Buffer.from(JSON.stringify(secret)),
    secretContext(context.operation.operationId),
  );
  await storeSecretResult(deps.db, context.operation.operationId, sealed, result);
}

export async function secretSealer(keys: KeyStore, tenantId: TenantId) {
  return createSealer(await keys.deriveTenantKey(tenantId, 'database-credentials'));
}

export function secretContext(operationId: string): string {
  return `result of ${operationId}`;
}

export function requireDatabase(databaseName: string | undefined): string {
  if (!databaseName) throw new Error('the tenant has no database');
  return databaseName;
}

/**
 * Reads a tenant that is suspended: control alone is let in, with new passwords, so that a gateway that still knew the old ones
 * stays out. Closed again whatever happens; after a crash, by the step's next run.
 */
export async function withOpenDatabase<T>(deps: FlowDeps, tenant: Tenant, work: () => Promise<T>): Promise<T> {
  if (tenant.state !== 'suspended') return work();
  const databaseName = requireDatabase(tenant.databaseName);
  const passwords = await deps.credentials.rotate(tenant.tenantId);
  try {
    await deps.databases.openDatabase(databaseName, passwords);
    await deps.notifyGateways(tenant.tenantId);
    return await work();
  } finally {
    await deps.databases.closeDatabase(databaseName);
    await deps.notifyGateways(tenant.tenantId);
  }
}
