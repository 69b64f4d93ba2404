import type { Command } from 'commander';
import { type CliContext, type CommonOptions, formatBytes, formatFacts, print, printJson } from '#src/cli/index.ts';
import type { Health, ShippingHealth, StandbyHealth } from '#src/console-api/index.ts';
import type { AppFences } from '#src/processes/index.ts';

/** `status` and `doctor`: the same facts, told for a look and for a repair. */
export function addStatusCommands(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('clusters, gateways, tenants and disk of the running installation')
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable', false)
    .action(async (options: CommonOptions) => {
      const health = await context.connect(options.data).get<Health>('/api/health');
      if (options.json) return printJson(context, health);
      print(
        context,
        formatFacts(describe(health)),
        ...(health.warnings.length ? ['', `${health.warnings.length} to look at: ./freehold doctor`] : []),
      );
    });
  program
    .command('doctor')
    .description('what is wrong or risky, and what mends it; exit code 1 when something is wrong')
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable', false)
    .action(async (options: CommonOptions) => {
      const { warnings, appFences } = await context.connect(options.data).get<Health>('/api/health');
      if (options.json) printJson(context, { warnings, appFences });
      else if (warnings.length === 0) print(context, 'Nothing wrong and no risk found.');
      else
        for (const { severity, text, hint } of warnings)
          print(context, `${severity === 'problem' ? 'PROBLEM' : 'risk   '}  ${text}`, `         ${hint}`);
      if (!options.json && appFences) print(context, '', formatFacts(describeFences(appFences)));
      if (warnings.some((warning) => warning.severity === 'problem')) process.exitCode = 1;
    });
}

/** What stands between an app of the operator's own and everything else. */
function describeFences({ sandbox, users, controlGroups, systemCalls }: AppFences): [string, string][] {
  const said = (is: boolean, up: string, down: string): string => (is ? `up: ${up}` : `down: ${down}`);
  return [
    ['Fences of apps', ''],
    ['  sandbox', said(sandbox, 'own files, processes and network (bubblewrap)', 'such apps are not started')],
    ['  users', said(users, 'each tenant its own', 'all run as the person who started Freehold')],
    [
      '  limits',
      said(controlGroups > 0, `control groups, version ${controlGroups}`, 'memory and processors are not bounded'),
    ],
    ['  system calls', said(systemCalls, 'filtered', 'not filtered on this architecture')],
  ];
}

function describe(health: Health): [string, string][] {
  const facts: [string, string][] = [
    ['Gateway', `${health.gateway}   ${health.gateways.connected} of ${health.gateways.expected} workers`],
    ['Version', `${health.version}, up since ${health.startedAt}`],
  ];
  for (const cluster of health.clusters) {
    const used = cluster.connections ? `   ${cluster.connections.used} of ${cluster.connections.max} connections` : '';
    facts.push([
      `Cluster ${cluster.name}`,
      `${cluster.state}, PostgreSQL ${cluster.version ?? '?'} (${cluster.kind})${used}`,
    ]);
    if (cluster.standby) facts.push(['  standby', describeStandby(cluster.standby)]);
    if (cluster.shipping) facts.push(...describeShipping(cluster.shipping));
  }
  facts.push(...describeChecks(health));
  const states = Object.entries(health.tenants).map(([state, count]) => `${count} ${state}`);
  facts.push(
    ['Tenants', states.join(', ') || 'none yet'],
    ['Operations', `${health.operations.running} running, ${health.operations.failed} failed`],
    ['Prepared', `${health.preparedDatabases.ready} of ${health.preparedDatabases.target} databases`],
    [
      'Disk',
      `${formatBytes(health.disk.freeBytes)} of ${formatBytes(health.disk.totalBytes)} free at ${health.disk.path}`,
    ],
  );
  return facts;
}

/** What the backups are known to be worth. */
function describeChecks({ checks, jobs }: Health): [string, string][] {
  if (!checks) return [];
  const { lastBackupAt, lastVerifiedAt, lastDrill, regions } = checks;
  const backupAt = lastBackupAt ?? jobs.find(({ name }) => name === 'base backup')?.succeededAt;
  const failed = regions.flatMap(({ lastVerification: last }) =>
    last && !last.passed ? `   FAILED ${last.at}, region ${last.region}: ${last.finding}` : [],
  );
  const failedDrills = regions.flatMap(({ lastDrill: last }) =>
    last && !last.passed && last.region !== lastDrill?.region
      ? `   FAILED ${last.at}, region ${last.region}: ${last.finding}`
      : [],
  );
  const measured = (ms: number | undefined) => (ms === undefined ? '?' : `${(ms / 1_000).toFixed(1)} s`);
  return [
    ['Last backup', backupAt ?? 'none yet'],
    ['Last verified restore', `${lastVerifiedAt ?? 'none yet'}${failed.join('')}`],
    [
      'Last drill',
      lastDrill
        ? `${lastDrill.at}, region ${lastDrill.region}   ${lastDrill.passed ? '' : `FAILED: ${lastDrill.finding}   `}recovery point ${measured(lastDrill.recoveryPointMs)}, recovery time ${measured(lastDrill.recoveryTimeMs)}${failedDrills.join('')}`
        : 'none yet',
    ],
  ];
}

function describeShipping({ state, reason, regions, spoolBytes }: ShippingHealth): [string, string][] {
  const spool = spoolBytes > 0 ? `   ${formatBytes(spoolBytes)} in the spool` : '';
  return [
    ['  log shipping', `${state}${reason ? `: ${reason}` : ''}${spool}`],
    ...regions.map((region): [string, string] => [
      `  region ${region.region}`,
      `${region.state}   ${formatBytes(region.behindBytes)}, ${Math.round(region.lagMs)} ms behind${region.reason ? `   ${region.reason}` : ''}`,
    ]),
  ];
}

function describeStandby({ state, since, lagBytes, lagMs, primary, reason }: StandbyHealth): string {
  if (state === 'off') return 'none';
  const lag = lagBytes === undefined ? '' : `   ${formatBytes(lagBytes)}, ${lagMs} ms behind`;
  const words = state === 'following' ? state : `${state} since ${since}`;
  return `${words}${lag}   the primary is ${primary}${reason ? `   ${reason}` : ''}`;
}
