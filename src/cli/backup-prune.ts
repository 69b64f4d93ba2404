import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { RetentionRegionView, RetentionRunView, RetentionShareView } from '#src/console-api/index.ts';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors, UsageError } from './errors.ts';
import { formatAge, formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts, formatTable } from './table.ts';

interface Options extends CommonOptions {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const askEveryMs = 250;
/** Rows of a table that people read; `--json` has all. */
const shownRows = 12;

/** `backup prune`: what is older than the retention and needed by nobody, region by region. */
export function addBackupPruneCommand(backup: Command, context: CliContext): void {
  backup
    .command('prune')
    .description(
      'remove from the regions what is older than the retention and needed by nobody; happens daily by itself',
    )
    .option('--dry-run', 'show what would go, and who needs the rest; remove nothing', false)
    .option('--yes', 'do not ask', false)
    .option('--json', 'one line of JSON: dryRun, days, regions with horizon, remove, keep, warnings, error')
    .option('--data <folder>', 'data folder of the installation')
    .action((options: Options) => prune(context, options));
}

async function prune(context: CliContext, options: Options): Promise<void> {
  const { dryRun } = options;
  if (!dryRun && !options.yes)
    throw new UsageError(
      'what is removed from a region does not come back',
      'Look first: ./freehold backup prune --dry-run; then: ./freehold backup prune --yes',
    );
  const run = await follow(context, context.connect(options.data), dryRun);
  if (options.json) printJson(context, run);
  else for (const region of run.regions) print(context, ...describeRegion(region, run, context.now()), '');
  const failed = run.regions.filter(({ state }) => state !== 'done');
  if (failed.length > 0)
    throw cliErrors.FH_OPERATION_FAILED({
      detail: failed.map(({ region, error }) => `region ${region}: ${error?.text ?? 'it did not end'}`).join('; '),
      hint: 'Nothing is lost by waiting: it is tried again by itself. Look at ./freehold doctor.',
    });
}

async function follow(context: CliContext, client: CommandClient, dryRun: boolean): Promise<RetentionRunView> {
  const bar = createProgressBar(context.streams, dryRun ? 'Looking at the regions' : 'Removing');
  let { run } = await client.send<{ run: RetentionRunView }>('POST', '/api/retention-runs', { dryRun });
  try {
    while (run.state === 'running') {
      const sum = (field: 'doneObjects' | 'allObjects') =>
        run.regions.reduce((total, region) => total + (region[field] ?? 0), 0);
      bar.show(sum('doneObjects') / Math.max(1, sum('allObjects')), `${sum('doneObjects')} objects`);
      await delay(askEveryMs);
      const latest = await client.get<{ run: RetentionRunView | null }>(`/api/retention-runs/latest?dryRun=${dryRun}`);
      if (!latest.run) throw cliErrors.FH_COMMAND_INTERRUPTED({ detail: 'control was restarted' });
      run = latest.run;
    }
  } finally {
    bar.end();
  }
  return run;
}

function describeRegion(view: RetentionRegionView, { dryRun, days }: RetentionRunView, nowMs: number): string[] {
  if (view.state !== 'done')
    return [`Region ${view.region}: ${view.error?.text ?? view.state} (${view.error?.code ?? '?'})`];
  const { remove = [], keep = [], warnings = [], removedObjects = 0, sparedObjects = 0, removedUnfinished = 0 } = view;
  const goes = dryRun
    ? `${sumUp(remove)} would go`
    : `${removedObjects} objects, ${formatBytes(view.removedBytes)} are gone`;
  return [
    `Region ${view.region}: ${goes}, ${sumUp(keep)} stay.`,
    formatFacts([
      ['retention', `${days} days`],
      ['restorable since', view.horizon && `${view.horizon} (${formatAge(view.horizon, nowMs)}), or the first backup`],
      ['stayed after all', sparedObjects > 0 ? `${sparedObjects} objects: somebody needs them by now` : undefined],
      ['unfinished uploads', removedUnfinished > 0 ? `${removedUnfinished} removed` : undefined],
    ]),
    ...(dryRun ? describeShares('Would go', remove) : []),
    ...(dryRun ? describeShares('Stays', keep) : []),
    ...warnings.map((warning) => `  Look at: ${warning}`),
  ];
}

function describeShares(title: string, shares: readonly RetentionShareView[]): string[] {
  if (shares.length === 0) return [];
  const rest = shares.length - shownRows;
  return [
    '',
    formatTable(
      [
        { title, value: (row) => row.kind },
        { title: 'objects', value: (row) => String(row.objects), align: 'right' },
        { title: 'size', value: (row) => formatBytes(row.sizeBytes), align: 'right' },
        { title: '', value: (row) => row.neededBy ?? '' },
      ],
      shares.slice(0, shownRows),
    ),
    ...(rest > 0 ? [`… and ${rest} more: --json`] : []),
  ];
}

function sumUp(shares: readonly RetentionShareView[]): string {
  const sum = (field: 'objects' | 'sizeBytes') => shares.reduce((total, share) => total + share[field], 0);
  return `${sum('objects')} objects, ${formatBytes(sum('sizeBytes'))}`;
}
