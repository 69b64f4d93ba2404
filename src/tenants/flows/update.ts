import type { TenantId } from '#src/kernel/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import {
  exchangeDatabases,
  forgetSnapshot,
  insertSnapshot,
  keepSnapshot,
  lockSnapshot,
  selectSnapshots,
} from '../snapshots-sql.ts';
import { findTenant, moveTenant } from '../sql.ts';
import { beginOnTenant, dayMs, type FlowDeps, nowOf, requireDatabase } from './steps.ts';

/** How long a snapshot is kept after its operation. Contents of files that nobody names any more are kept for as long. */
const snapshotMs = dayMs;

/**
 * Update: another version of an app that runs as a process. The tenant is closed while its database is copied, the new version migrates it and starts; requests
 * that come meanwhile wait. When anything fails, the copy takes the place of the database and the tenant runs what it ran, with the content that it had: nobody
 * could write in between. With `snapshot` the way back after users were let in: that content, or the version alone.
 */
export function createUpdateFlow(deps: FlowDeps): Flow<'update'> {
  return {
    kind: 'update',
    onFailure: 'undo',
    cancellable: true,
    steps: ({ snapshot }) => [
      gateStep(deps),
      snapshot === undefined ? copyStep(deps) : exchangeStep(deps),
      versionStep(deps),
      startStep(deps),
    ],

    async begin(tx, request) {
      const { version, snapshot, onBehalfOf } = request.input;
      const { tenantId, tenant } = await beginOnTenant(tx, 'update', request);
      const { appVersion: before, databaseName } = tenant;
      if (before === undefined || databaseName === undefined || !deps.appVersions || !deps.appProcesses)
        throw tenantErrors.FH_TENANT_APP_UNKNOWN({
          detail: 'its app runs inside the gateway, always at its newest version',
        });
      if (snapshot !== undefined) {
        const found = await lockSnapshot(tx, snapshot);
        if (found?.tenantId !== tenantId || found.version !== version) throw tenantErrors.FH_SNAPSHOT_NOT_FOUND();
        await keepSnapshot(tx, snapshot, undefined);
      }
      // Refused at once, and it stays until the tenant has it.
      await deps.appVersions.assign(tx, tenantId, version);
      await deps.appVersions.assign(tx, tenantId, before);
      const input: Change = {
        version,
        before,
        databaseName,
        ...(snapshot !== undefined && { snapshot }),
        ...(onBehalfOf !== undefined && { onBehalfOf }),
      };
      return { tenantId, tenantName: tenant.name, input };
    },

    async finish(tx, context) {
      const { operation, tenantId } = context;
      const { version, before, onBehalfOf, snapshot } = changeOf(operation);
      await moveTenant(tx, tenantId, 'active', nowOf(deps));
      const until = new Date(deps.clock.now() + snapshotMs);
      for (const { databaseName, keepUntil } of await selectSnapshots(tx, tenantId))
        if (keepUntil === undefined) await keepSnapshot(tx, databaseName, until);
      if (onBehalfOf === undefined) await deps.appVersions!.hold(tx, tenantId);
      const { app } = await context.tenant();
      await deps.recordAudit(tx, {
        name: 'app.version_used',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: {
          app,
          version,
          before,
          ...(onBehalfOf !== undefined && { release: onBehalfOf }),
          ...(snapshot !== undefined && { content: 'as it was' }),
        },
      });
    },

    announce: ({ tenantId }) => deps.notifyGateways(tenantId),

    async abandon(tx, { operation, tenantId }) {
      const { snapshot } = changeOf(operation);
      if (snapshot !== undefined) await keepSnapshot(tx, snapshot, new Date(deps.clock.now() + snapshotMs));
      await moveTenant(tx, tenantId, 'active', nowOf(deps));
    },
  };
}

interface Change {
  readonly version: string;
  readonly before: string;
  /** The tenant's own, when the operation began. */
  readonly databaseName: string;
  readonly snapshot?: string;
  readonly onBehalfOf?: string;
}

function changeOf(operation: StepContext['operation']): Change {
  return operation.input as unknown as Change;
}

/** Requests that the app has come to their end, its folder is kept, and nobody writes from here on. */
function gateStep(deps: FlowDeps): Step {
  return {
    name: 'gate',
    async run({ tenantId, tenant }) {
      await deps.db.transaction((tx) => moveTenant(tx, tenantId, 'migrating', nowOf(deps)));
      await deps.notifyGateways(tenantId);
      await deps.appProcesses!.settle(tenantId, { mustKeep: true });
      await deps.databases.closeDatabase(requireDatabase((await tenant()).databaseName));
    },
    // The last of all: the database may be another one by now, and the tenant is opened with the operation's end.
    async undo(context) {
      await open(deps, context);
    },
  };
}

function copyStep(deps: FlowDeps): Step {
  return {
    name: 'snapshot',
    async run(context) {
      const { databaseName, before } = changeOf(context.operation);
      if (context.memo.isCopied) return;
      const { cluster } = await context.tenant();
      const copy = String(context.memo.copy ?? deps.databases.newDatabaseName(cluster));
      await context.remember({ copy });
      await insertSnapshot(deps.db, { databaseName: copy, tenantId: context.tenantId, version: before }, nowOf(deps));
      await deps.databases.cloneDatabase(databaseName, copy);
      await context.remember({ isCopied: true });
    },
    /** Once a later step has begun, the copy is what is right; `startStep` has put it into its place by now. */
    async undo({ memo, tenantId, operation }) {
      if (memo.copy === undefined) return;
      await dropUnlessInUse(deps, tenantId, [String(memo.copy), changeOf(operation).databaseName]);
    },
  };
}

/** The former content, or what is taken back of that. What is exchanged for it is kept for a while. */
function exchangeStep(deps: FlowDeps): Step {
  return {
    name: 'content',
    async run({ operation, tenantId }) {
      const { snapshot, before, databaseName } = changeOf(operation);
      await takeItsPlace(deps, tenantId, { from: databaseName, to: snapshot!, version: before });
    },
    async undo({ operation, tenantId }) {
      const { snapshot, version, databaseName } = changeOf(operation);
      await takeItsPlace(deps, tenantId, { from: snapshot!, to: databaseName, version });
    },
  };
}

function versionStep(deps: FlowDeps): Step {
  const assign = (tenantId: TenantId, version: string) =>
    deps.db.transaction((tx) => deps.appVersions!.assign(tx, tenantId, version));
  return {
    name: 'version',
    async run(context) {
      await assign(context.tenantId, changeOf(context.operation).version);
      await open(deps, context);
    },
    undo: ({ operation, tenantId }) => assign(tenantId, changeOf(operation).before),
  };
}

/** Its migrations, its start, its health; users are not let in before. */
function startStep(deps: FlowDeps): Step {
  return {
    name: 'start',
    run: ({ tenantId }) => deps.appProcesses!.start(tenantId),
    async undo({ memo, operation, tenantId }) {
      const { databaseName, version } = changeOf(operation);
      await deps.appProcesses!.evict(tenantId);
      if (!memo.isCopied) return;
      await takeItsPlace(deps, tenantId, { from: databaseName, to: String(memo.copy), version });
    },
  };
}

/** Both closed. Its folder is laid out again from the rows of the one that is the tenant's from now on. */
async function takeItsPlace(
  deps: FlowDeps,
  tenantId: TenantId,
  exchange: { readonly from: string; readonly to: string; readonly version: string },
): Promise<void> {
  await deps.appProcesses!.evict(tenantId);
  await deps.databases.closeDatabase(exchange.from);
  const tenant = await deps.db.transaction(async (tx) => {
    const found = await findTenant(tx, tenantId);
    await exchangeDatabases(tx, tenantId, exchange, nowOf(deps));
    return found;
  });
  if (tenant?.recoveryPoint === 'zero' && deps.recoveryPoints.hasRegions)
    await deps.recoveryPoints.set(exchange.to, 'zero');
  await deps.appProcesses!.remove(tenantId);
}

async function open(deps: FlowDeps, { tenant, tenantId }: StepContext): Promise<void> {
  await deps.databases.openDatabase(
    requireDatabase((await tenant()).databaseName),
    await deps.credentials.ensure(tenantId),
  );
  await deps.notifyGateways(tenantId);
}

async function dropUnlessInUse(deps: FlowDeps, tenantId: TenantId, databaseNames: readonly string[]): Promise<void> {
  const snapshots = await selectSnapshots(deps.db, tenantId);
  for (const { databaseName } of snapshots) {
    if (!databaseNames.includes(databaseName)) continue;
    await deps.databases.dropDatabase(databaseName);
    await forgetSnapshot(deps.db, databaseName);
  }
}

/** Of a tenant that goes. */
export async function dropSnapshots(deps: FlowDeps, tenantId: TenantId): Promise<void> {
  const snapshots = await selectSnapshots(deps.db, tenantId);
  await dropUnlessInUse(
    deps,
    tenantId,
    snapshots.map(({ databaseName }) => databaseName),
  );
}
