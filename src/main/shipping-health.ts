import type { ShippingReport } from '#src/backups/index.ts';
import { formatBytes } from '#src/cli/index.ts';
import type { ClusterHealth, HealthWarning, ShippingHealth } from '#src/console-api/index.ts';

/** WAL in both regions a second after its commit is the promise; this is when somebody should look. */
const lateMs = 10_000;

export function toShippingHealth(report: ShippingReport | undefined): ShippingHealth {
  if (!report) return { state: 'starting', regions: [], spoolBytes: 0 };
  const { receiver, regions, spoolBytes, stoppedBy } = report;
  const state = stoppedBy !== undefined ? 'stopped' : receiver.state === 'streaming' ? 'shipping' : 'connecting';
  return {
    state,
    spoolBytes,
    regions: regions.map(({ region, state: regionState, behindBytes, lagMs, owedBytes, lastError }) => ({
      region,
      state: regionState,
      behindBytes,
      lagMs,
      ...(owedBytes > 0 && { owedBytes }),
      ...(lastError !== undefined && { reason: lastError }),
    })),
    ...((stoppedBy ?? receiver.lastError) !== undefined && { reason: stoppedBy ?? receiver.lastError }),
    gaps: report.gaps,
    spoolFull: report.spoolFull,
    slotNearLimit: report.slot === 'near_limit',
  };
}

/** What of shipping a person should look at. */
export function findShippingWarnings({ name, kind, shipping }: ClusterHealth): HealthWarning[] {
  if (kind === 'external') return [];
  if (!shipping)
    return [
      {
        severity: 'risk',
        text: `The log of the cluster ${name} is shipped to no region.`,
        hint: 'Unset FREEHOLD_BACKUPS: when this machine is lost, everything on it is.',
      },
    ];
  const warnings: HealthWarning[] = [];
  const problem = (text: string, hint: string) => warnings.push({ severity: 'problem', text, hint });
  if (shipping.state === 'stopped')
    problem(
      `Shipping of the cluster ${name} has ended: ${shipping.reason}.`,
      'Another process writes under the same names, or a region was changed. Look at log/shipper.log.',
    );
  else if (shipping.state === 'connecting')
    problem(
      `The shipper of the cluster ${name} does not receive${shipping.reason ? `: ${shipping.reason}` : ''}.`,
      'Look at log/shipper.log and pg/logs in the data folder.',
    );
  const late = shipping.regions.filter(
    ({ state, lagMs, owedBytes }) => state === 'away' || lagMs > lateMs || owedBytes,
  );
  for (const { region, lagMs, owedBytes, reason } of late)
    problem(
      `Region ${region} lacks the newest ${Math.round(lagMs / 1000)} s${reason ? `: ${reason}` : ''}.`,
      owedBytes
        ? `When it answers, it gets ${formatBytes(owedBytes)} of the log from another region, by itself; until then that one must not be lost.`
        : 'The spool keeps what it is owed and sends it when the region answers again.',
    );
  if (late.length > 0 && shipping.waitingTenants)
    problem(
      `Changes of ${shipping.waitingTenants} tenants with recovery point zero are refused until every region has the log.`,
      'Bring the region back, or lower it: ./freehold tenant set NAME --recovery-point second',
    );
  if (shipping.spoolFull)
    problem(
      'The spool of the shipper is full.',
      'Bring the region back, or make room: PostgreSQL keeps its log until then.',
    );
  if (shipping.slotNearLimit)
    problem(
      'PostgreSQL will soon drop log that was not shipped.',
      'Bring the regions back now; otherwise there will be a gap.',
    );
  if (shipping.gaps)
    problem(
      `There are ${shipping.gaps} gaps in the shipped log.`,
      'Moments inside them cannot be restored. Take a base backup now.',
    );
  return warnings;
}
