import { recordAudit } from '#src/audit/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createRollouts, type RolloutDeps, type Rollouts, readColumns, releaseErrors } from '#src/releases/index.ts';
import type { TestInstallation } from './installation.ts';

/** Releases over a test installation; versions are rows that `addVersions` makes. */
export function openTestRollouts(world: TestInstallation, change: Partial<RolloutDeps> = {}): Rollouts {
  return createRollouts({
    db: world.pool,
    registry: {
      async get(app, version) {
        const [found] = await world.pool.query('SELECT * FROM app_versions WHERE app = $1 AND version = $2', [
          app,
          version,
        ]);
        if (!found) throw releaseErrors.FH_APP_NOT_FOUND();
        return found as never;
      },
    },
    lifecycle: () => world.lifecycle,
    judge: async () => undefined,
    readColumns: async (tenantId) =>
      world.admin.readCatalogues((await world.lifecycle.getTenant(tenantId)).databaseName!, readColumns),
    recordAudit,
    clock: systemClock,
    log: silentLog,
    lookEveryMs: 10,
    ...change,
  });
}

/** Versions of the sample app that are ready, as if it ran as a process. */
export async function addVersions(world: TestInstallation, ...versions: readonly string[]): Promise<void> {
  for (const version of versions)
    await world.pool.query(
      `INSERT INTO app_versions (app, version, digest, manifest, notes, state, added_at, added_by)
       VALUES ('sample', $1, repeat('0', 64), '{}', '', 'ready', clock_timestamp(), 'test') ON CONFLICT DO NOTHING`,
      [version],
    );
}
