import { failpoint, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { mergeResult } from '../operations-sql.ts';
import { exchangeDatabases, forgetSnapshot, insertSnapshot, keepSnapshot, selectSnapshots } from '../snapshots-sql.ts';
import { moveTenant, selectPrivateClusters, setPlace } from '../sql.ts';
import type { Edition, Tenant } from '../types.ts';
import { newCluster } from './servers.ts';
import { beginOnTenant, dayMs, type FlowDeps, migrationsStep, nowOf, requireDatabase } from './steps.ts';

/** The database that the tenant left is kept for so long, unless somebody says that it may go. */
const keptMs = 7 * dayMs;

/**
 * Move: from the server that it is on to another one, and with it to another edition. The server and an empty database are made while the tenant is in use; it is
 * closed for as long as its content is copied and compared, and requests that come meanwhile wait. When anything fails, it goes on where it was: nobody could write
 * in between. The way back is another move, which takes along what was written since.
 */
export function createMoveFlow(deps: FlowDeps): Flow<'move'> {
  return {
    kind: 'move',
    onFailure: 'undo',
    cancellable: true,
    steps: () => [
      serverStep(deps),
      // Both at the newest migrations, so that rows are all that is to be copied.
      migrationsStep(deps),
      targetStep(deps),
      gateStep(deps),
      contentStep(deps),
      placeStep(deps),
      startStep(deps),
    ],

    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'move', request);
      const left = await findLeft(tx, deps, tenant);
      if (request.input.undo && left === undefined) throw tenantErrors.FH_MOVE_CONFIRMED();
      const edition = request.input.undo ? editionOn(left!) : request.input.edition;
      if (edition === undefined || tenant.edition === edition)
        throw tenantErrors.FH_TENANT_STATE({
          detail: `its edition is ${tenant.edition} already`,
          hint: 'Nothing is to be done.',
        });
      const change: Change = {
        edition,
        // A server that it has left is still there.
        cluster: edition === 'standard' ? 'main' : (left ?? newCluster(deps)),
        from: requireDatabase(tenant.databaseName),
        before: {
          edition: tenant.edition,
          cluster: tenant.cluster,
          state: tenant.state === 'suspended' ? 'suspended' : 'active',
        },
        isMade: edition === 'private-cloud' && left === undefined,
      };
      return { tenantId, tenantName: tenant.name, input: change };
    },

    async finish(tx, context) {
      const { operation, tenantId } = context;
      const { edition, cluster, from, before } = changeOf(operation);
      await moveTenant(tx, tenantId, before.state, nowOf(deps));
      const keptUntil = new Date(deps.clock.now() + keptMs);
      await keepSnapshot(tx, from, keptUntil);
      await mergeResult(tx, operation.operationId, { keptUntil: keptUntil.toISOString() });
      await deps.recordAudit(tx, {
        name: 'tenant.moved',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, from: before.edition, to: edition, server: cluster },
      });
    },

    announce: ({ tenantId }) => deps.notifyGateways(tenantId),
    async abandon(tx, { operation, tenantId, tenant }) {
      if ((await tenant()).state === 'moving')
        await moveTenant(tx, tenantId, changeOf(operation).before.state, nowOf(deps));
    },
  };
}

const editionOn = (cluster: string): Edition => (cluster === 'main' ? 'standard' : 'private-cloud');

/** The server that the tenant has left by its last move, until that is confirmed. */
async function findLeft(tx: Queryable, deps: FlowDeps, { tenantId, cluster }: Tenant): Promise<string | undefined> {
  const snapshots = await selectSnapshots(tx, tenantId);
  return snapshots.map(({ databaseName }) => deps.databases.clusterOf(databaseName)).find((name) => name !== cluster);
}

/** The last move of a tenant, while it can be taken back. */
export async function findMove(
  { db, databases }: Pick<FlowDeps, 'db' | 'databases'>,
  { tenantId, cluster }: Tenant,
): Promise<{ readonly from: Edition; readonly keptUntil: Date } | undefined> {
  for (const { databaseName, keepUntil } of await selectSnapshots(db, tenantId)) {
    const left = databases.clusterOf(databaseName);
    if (keepUntil && left !== cluster) return { from: editionOn(left), keptUntil: keepUntil };
  }
  return undefined;
}

/** What the last move of a tenant has left may go now. @returns whether there was anything */
export async function confirmMove(
  { db, databases, clock, recordAudit }: Pick<FlowDeps, 'db' | 'databases' | 'clock' | 'recordAudit'>,
  tenant: Tenant,
  actor: string,
): Promise<boolean> {
  const { tenantId, cluster } = tenant;
  return db.transaction(async (tx) => {
    const snapshots = await selectSnapshots(tx, tenantId);
    const left = snapshots.filter(
      ({ databaseName, keepUntil }) => keepUntil && databases.clusterOf(databaseName) !== cluster,
    );
    for (const { databaseName } of left) await keepSnapshot(tx, databaseName, new Date(clock.now()));
    if (left.length === 0) return false;
    await recordAudit(tx, {
      name: 'tenant.move_confirmed',
      actor,
      subject: tenantId,
      tenantId,
      details: { name: tenant.name },
    });
    return true;
  });
}

interface Change {
  readonly edition: Edition;
  readonly cluster: string;
  /** The tenant's database, when the operation began. */
  readonly from: string;
  readonly before: { readonly edition: Edition; readonly cluster: string; readonly state: 'active' | 'suspended' };
  /** The server is there for this move, and goes when it is taken back. */
  readonly isMade: boolean;
}

function changeOf(operation: StepContext['operation']): Change {
  return operation.input as unknown as Change;
}

function serverStep(deps: FlowDeps): Step {
  return {
    name: 'server',
    run: async ({ operation }) => {
      const { isMade, cluster } = changeOf(operation);
      if (isMade) await deps.privateServers!.make(cluster);
    },
    async undo({ operation, tenantId }) {
      const { isMade, cluster } = changeOf(operation);
      // Where the tenant has been for a moment, that can be restored.
      const isRemembered = (await selectPrivateClusters(deps.db, tenantId)).includes(cluster);
      if (isMade && !isRemembered) await deps.privateServers!.remove(cluster);
    },
  };
}

/** Empty, with the tenant's roles. It counts as the tenant's from the first moment, so that nothing in it is ever nobody's. */
function targetStep(deps: FlowDeps): Step {
  return {
    name: 'database',
    async run(context) {
      const { tenantId, operation, memo } = context;
      const { cluster } = changeOf(operation);
      const { app, appVersion } = await context.tenant();
      const to = String(memo.to ?? deps.databases.newDatabaseName(cluster));
      await context.remember({ to });
      await insertSnapshot(deps.db, { databaseName: to, tenantId, version: appVersion ?? '' }, nowOf(deps));
      const { template } = await deps.databases.ensureTemplate(app, cluster);
      await deps.databases.createDatabase(to, { template });
      await failpoint('move.database_made');
    },
    undo: ({ memo, tenantId }) => dropUnlessOwn(deps, tenantId, memo.to),
  };
}

/** Requests that the app has come to their end, its folder is kept, and nobody writes from here on. */
function gateStep(deps: FlowDeps): Step {
  return {
    name: 'gate',
    async run({ tenantId, operation }) {
      await deps.db.transaction((tx) => moveTenant(tx, tenantId, 'moving', nowOf(deps)));
      await deps.notifyGateways(tenantId);
      await deps.appProcesses?.settle(tenantId, { mustKeep: true });
      await deps.databases.closeDatabase(changeOf(operation).from);
    },
    async undo({ tenantId, operation }) {
      const { from, before } = changeOf(operation);
      if (before.state === 'active') await deps.databases.openDatabase(from, await deps.credentials.ensure(tenantId));
      await deps.db.transaction((tx) => moveTenant(tx, tenantId, before.state, nowOf(deps)));
      await deps.notifyGateways(tenantId);
    },
  };
}

/** From the beginning, whatever a killed attempt has left in the target. */
function contentStep(deps: FlowDeps): Step {
  return {
    name: 'copy',
    async run(context) {
      const { memo, operation, tenantId } = context;
      if (memo.contentHash) return;
      const { from, cluster } = changeOf(operation);
      const to = String(memo.to);
      const tenant = await context.tenant();
      if (memo.isCopying) {
        await deps.databases.dropDatabase(to);
        const { template } = await deps.databases.ensureTemplate(tenant.app, cluster);
        await deps.databases.createDatabase(to, { template });
      }
      await context.remember({ isCopying: true });
      const passwords = await deps.credentials.ensure(tenantId);
      await deps.databases.openDatabase(to, passwords);
      const { contentHash } = await deps.portability.copyContent(tenant, { from, to, passwords }, context.progress);
      await failpoint('move.copied');
      await deps.databases.closeDatabase(to);
      await context.remember({ contentHash });
    },
  };
}

/** The one moment at which it changes where the tenant is. */
function placeStep(deps: FlowDeps): Step {
  async function put(context: StepContext, to: string, from: string, place: { edition: Edition; cluster: string }) {
    const { tenantId } = context;
    const { appVersion, recoveryPoint } = await context.tenant();
    await deps.databases.closeDatabase(from);
    await deps.db.transaction(async (tx) => {
      await exchangeDatabases(tx, tenantId, { from, to, version: appVersion ?? '' }, nowOf(deps));
      await setPlace(tx, tenantId, place);
    });
    await failpoint('move.placed');
    if (recoveryPoint === 'zero' && deps.recoveryPoints.hasRegions) await deps.recoveryPoints.set(to, 'zero');
    // Laid out again from the rows of the database that is the tenant's from now on.
    await deps.appProcesses?.remove(tenantId);
  }
  return {
    name: 'place',
    run: (context) => {
      const { from, edition, cluster } = changeOf(context.operation);
      return put(context, String(context.memo.to), from, { edition, cluster });
    },
    undo: async (context) => {
      const { from, before } = changeOf(context.operation);
      await deps.appProcesses?.evict(context.tenantId);
      await put(context, from, String(context.memo.to), before);
    },
  };
}

/** Users are let in with the operation's end. */
function startStep(deps: FlowDeps): Step {
  return {
    name: 'start',
    async run({ tenant, tenantId, operation }) {
      if (changeOf(operation).before.state === 'suspended') return;
      const { databaseName } = await tenant();
      await deps.databases.openDatabase(requireDatabase(databaseName), await deps.credentials.ensure(tenantId));
      await deps.notifyGateways(tenantId);
      await deps.appProcesses?.start(tenantId);
    },
    undo: async ({ tenantId }) => deps.appProcesses?.evict(tenantId),
  };
}

async function dropUnlessOwn(deps: FlowDeps, tenantId: TenantId, name: unknown): Promise<void> {
  const snapshots = await selectSnapshots(deps.db, tenantId);
  if (!snapshots.some(({ databaseName }) => databaseName === name)) return;
  await deps.databases.dropDatabase(String(name));
  await forgetSnapshot(deps.db, String(name));
}
