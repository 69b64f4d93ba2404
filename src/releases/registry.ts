import type { RecordAudit } from '#src/audit/types.ts';
import { type Clock, FreeholdError, failpoint, type Log, retry, type TenantId } from '#src/kernel/index.ts';
import { type Queryable, sqlState } from '#src/postgres/index.ts';
import type { AppVersionsPort, ControlDatabase } from '#src/tenants/index.ts';
import { releaseErrors } from './errors.ts';
import { createIncoming } from './incoming.ts';
import type { AppInstaller } from './ports.ts';
import * as sql from './sql.ts';
import type { AppVersion } from './types.ts';

export interface AppRegistryDeps {
  readonly db: ControlDatabase;
  /** Absolute; only control enters it. */
  readonly incomingFolder: string;
  readonly installer: AppInstaller;
  /** Apps that come with Freehold, whose names no other may have. */
  readonly ownApps: readonly string[];
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ListedVersion extends AppVersion {
  /** That run it, or could be restored with it. */
  readonly tenants: number;
}

/** Versions of apps that run as processes. Of one (app, version) there is one content for ever, unless it was removed. */
export interface AppRegistry {
  /**
   * Receives an archive and begins to build it; answers while it is built. The same content again changes nothing, unless its build had failed: then it is
   * built again. FH_APP_VERSION_TAKEN with another content.
   */
  add(content: AsyncIterable<Uint8Array>, options: { notes: string; actor: string }): Promise<AppVersion>;
  /** The newest first. @param app undefined: of all apps */
  list(app?: string): Promise<ListedVersion[]>;
  /** FH_APP_NOT_FOUND */
  get(app: string, version: string): Promise<AppVersion>;
  findNewestReady(app: string): Promise<AppVersion | undefined>;
  /** FH_APP_VERSION_IN_USE, FH_APP_VERSION_STATE while it is built, FH_APP_NOT_FOUND. */
  remove(app: string, version: string, actor: string): Promise<void>;
  /** The tenant runs this version of its app from its next start on. In the caller's transaction; listeners are told by `changed`. */
  assign(tx: Queryable, tenantId: TenantId, version: string): Promise<void>;
  findTenantApp(tenantId: TenantId): Promise<sql.TenantApp | undefined>;
  /** Sessions that the app of this database may have, as its version says; undefined: it does not run as a process. */
  findConnectionLimit(databaseName: string): Promise<number | undefined>;
  /** Called after a version became ready, failed, or was removed. */
  onChanged(listener: (version: { readonly app: string; readonly version: string }) => void): void;
  /** For the lifecycle of tenants. */
  readonly forTenants: AppVersionsPort;
  /** Goes on with what was being built when the process ended. */
  start(): Promise<void>;
  /** Begins no further build; what runs is finished at the next start. */
  stop(): Promise<void>;
  /** Resolves when nothing is being built. */
  settled(): Promise<void>;
}

/** Who builds may not be there yet, for some minutes: after a start, or while it starts again. */
const buildPatience = {
  attempts: 60,
  firstDelayMs: 250,
  maxDelayMs: 5_000,
  isRetryable: (error: unknown) => error instanceof FreeholdError && error.retry !== 'never',
};
/** Of what a build said, in the registry and on a page. */
const maxErrorLength = 8_000;
const maxNotesLength = 10_000;

export function createAppRegistry(deps: AppRegistryDeps): AppRegistry {
  const { db, installer, recordAudit, clock, log } = deps;
  const incoming = createIncoming(deps.incomingFolder);
  const listeners: ((version: { app: string; version: string }) => void)[] = [];
  const stopping = new AbortController();
  const patience = { ...buildPatience, signal: stopping.signal };
  /** One build at a time: two would share two cores. */
  let queue: Promise<void> = Promise.resolve();

  function changed(app: string, version: string): void {
    for (const listener of listeners) listener({ app, version });
  }

  function enqueue(version: AppVersion): void {
    queue = queue
      .then(() => build(version))
      .catch((error) => {
        // The books are away: it is `building` still, and finished at the next start.
        log.error('the end of a build could not be recorded', { app: version.app, version: version.version, error });
      });
  }

  async function build({ app, version, digest, manifest, addedBy }: AppVersion): Promise<void> {
    if (stopping.signal.aborted) return;
    const order = { app, version, digest, archivePath: incoming.pathOf(digest), build: manifest.build };
    const failure = await retry(patience, () => installer.install(order)).then(() => null, textOf);
    if (stopping.signal.aborted && failure !== null) return;
    await failpoint('releases.install.done');
    await db.transaction(async (tx) => {
      if (!(await sql.finishVersion(tx, app, version, failure))) return;
      await recordAudit(tx, {
        name: failure === null ? 'app.version_added' : 'app.version_failed',
        actor: addedBy,
        subject: `${app} ${version}`,
        details: { app, version, digest },
      });
    });
    if (failure !== null) log.warn('a version could not be built', { app, version });
    await incoming.remove(digest);
    changed(app, version);
  }

  async function get(app: string, version: string): Promise<AppVersion> {
    const found = await sql.findVersion(db, app, version);
    if (!found) throw releaseErrors.FH_APP_NOT_FOUND({ detail: `${app} ${version}` });
    return found;
  }

  async function assign(tx: Queryable, tenantId: TenantId, version: string): Promise<void> {
    const found = await sql.findTenantApp(tx, tenantId);
    if (!found) throw releaseErrors.FH_APP_NOT_FOUND({ detail: 'the app of this tenant runs inside the gateway' });
    if ((await sql.lockReadyVersion(tx, found.app, version)) !== version)
      throw releaseErrors.FH_APP_VERSION_STATE({ detail: `${found.app} ${version} is not ready` });
    await sql.updateTenantVersion(tx, tenantId, version);
  }

  return {
    async add(content, { notes, actor }) {
      if (stopping.signal.aborted) throw new Error('the registry of apps is stopped');
      const { manifest, digest } = await incoming.receive(content);
      const { name: app, version } = manifest;
      const addedAt = new Date(clock.now());
      const added = { app, version, digest, manifest, notes: notes.slice(0, maxNotesLength), addedAt, addedBy: actor };
      let begun = false;
      try {
        if (deps.ownApps.includes(app)) throw releaseErrors.FH_APP_NAME_TAKEN({ detail: JSON.stringify(app) });
        begun = await db.transaction(async (tx) => {
          if (await sql.insertVersion(tx, added)) return true;
          const there = await sql.findVersion(tx, app, version);
          if (there && there.digest !== digest)
            throw releaseErrors.FH_APP_VERSION_TAKEN({
              detail: `${app} ${version} was added by ${there.addedBy} with content ${there.digest.slice(0, 12)}, this is ${digest.slice(0, 12)}`,
            });
          if (there?.state !== 'ready') return sql.reopenVersion(tx, added, 'failed');
          const isLost = (await installer.isInstalled?.(there)) === false;
          // As it was added: what is newest does not change by its being mended.
          return isLost && sql.reopenVersion(tx, there, 'ready');
        });
      } finally {
        // Unless this very content is being built already: then the archive is in use.
        const there = begun ? undefined : await sql.findVersion(db, app, version);
        if (!begun && !(there?.state === 'building' && there.digest === digest)) await incoming.remove(digest);
      }
      await failpoint('releases.add.recorded');
      const found = await get(app, version);
      if (begun) enqueue(found);
      return found;
    },

    async list(app) {
      const [versions, tenants] = await Promise.all([sql.selectVersions(db, app), sql.countTenants(db, app)]);
      return versions.map((each) => ({ ...each, tenants: tenants.get(`${each.app} ${each.version}`) ?? 0 }));
    },
    get,
    findNewestReady: async (app) => (await sql.selectVersions(db, app)).find(({ state }) => state === 'ready'),

    async remove(app, version, actor) {
      const { state, digest } = await get(app, version);
      if (state === 'building') throw releaseErrors.FH_APP_VERSION_STATE({ detail: 'it is being built' });
      try {
        await db.transaction(async (tx) => {
          if (!(await sql.deleteVersion(tx, app, version)))
            throw releaseErrors.FH_APP_VERSION_STATE({ detail: 'it is being built, or gone' });
          await recordAudit(tx, {
            name: 'app.version_removed',
            actor,
            subject: `${app} ${version}`,
            details: { app, version, digest },
          });
        });
      } catch (error) {
        if (sqlState(error) === '23503') throw releaseErrors.FH_APP_VERSION_IN_USE({ cause: error });
        throw error;
      }
      await failpoint('releases.remove.recorded');
      await installer.remove({ app, version, digest });
      changed(app, version);
    },

    assign,
    findTenantApp: (tenantId) => sql.findTenantApp(db, tenantId),
    findConnectionLimit: (databaseName) => sql.findConnectionLimit(db, databaseName),
    onChanged: (listener) => void listeners.push(listener),
    forTenants: { listApps: sql.selectReadyApps, pinVersion: sql.lockReadyVersion, assign, hold: sql.holdTenant },

    async start() {
      const building = await sql.selectBuilding(db);
      await incoming.keepOnly(building.map(({ digest }) => digest));
      for (const version of building) enqueue(version);
    },
    async stop() {
      stopping.abort();
    },
    settled: () => queue,
  };
}

/** What is shown to staff: the end of it, because a build says last what it died of. */
function textOf(error: unknown): string {
  const shown =
    error instanceof FreeholdError ? `${error.code}: ${error.message}` : String((error as Error)?.message ?? error);
  // No text of PostgreSQL holds a zero byte.
  return shown.replaceAll('\0', '').toWellFormed().slice(-maxErrorLength) || 'it failed without a word';
}
