import { recordAudit } from '#src/audit/index.ts';
import type { HealthWarning } from '#src/console-api/index.ts';
import type { Log } from '#src/kernel/index.ts';
import { complaintOf, createRollouts, type ReleaseTenant, type Rollouts, readColumns } from '#src/releases/index.ts';
import type { ControlServices } from './control-services.ts';

const minuteMs = 60_000;
/** So often in a row an app may end before that is the version's fault. */
const crashes = 3;

/** Releases of apps that run as processes, and the gates that this machine can tell of. */
export function createReleases(
  { pool, admin, apps, appProcesses, lifecycle, traffic, clock, jobs }: ControlServices,
  log: Log,
): Rollouts {
  const rollouts = createRollouts({
    db: pool,
    registry: apps,
    lifecycle: () => lifecycle,
    judge: async ({ tenantId, fromVersion }: ReleaseTenant, { version }) => {
      const complaint = complaintOf(traffic.of(tenantId, version), traffic.of(tenantId, fromVersion));
      if (complaint) return complaint;
      const process = (await appProcesses.list()).find((each) => each.tenantId === tenantId);
      if (!process || process.failures < crashes) return undefined;
      return `it ended ${process.failures} times in a row: ${process.error?.split('\n', 1)[0] ?? 'the log says why'}`;
    },
    readColumns: async (tenantId) => {
      const { databaseName } = await lifecycle.getTenant(tenantId);
      if (databaseName === undefined) throw new Error('the tenant has no database');
      return admin.readCatalogues(databaseName, readColumns);
    },
    recordAudit,
    clock,
    log,
  });
  jobs.add({
    name: 'versions of rings',
    everyMs: minuteMs,
    firstAfterMs: minuteMs,
    retryAfterMs: minuteMs,
    overdueAfterMs: 24 * 60 * minuteMs,
    run: async (signal) => void (await rollouts.gatherStragglers(signal)),
  });
  return rollouts;
}

export async function releaseWarnings(rollouts: Pick<Rollouts, 'list'>): Promise<HealthWarning[]> {
  const halted = (await rollouts.list()).filter(({ state }) => state === 'halted');
  return halted.map(({ app, version, reason }) => ({
    severity: 'problem',
    text: `The release of ${app} ${version} was halted: ${reason}.`,
    hint: `Look: ./freehold release status ${app}; then take it back with: ./freehold release return ${app}`,
  }));
}
