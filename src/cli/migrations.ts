import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { DriftView, FleetReport, FleetRunView } from '#src/console-api/index.ts';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors, UsageError } from './errors.ts';
import { plain } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatTable } from './table.ts';

interface RunOptions extends CommonOptions {
  readonly tenant?: string;
  readonly maxFailed?: string;
}

const askEveryMs = 250;
/** Of one tenant; `--json` has them all. */
const shownDifferences = 20;

/** `migrations`: how far every tenant's database is, and what brings it forward. */
export function addMigrationCommands(program: Command, context: CliContext): void {
  const migrations = program
    .command('migrations')
    .description("show how far every tenant's database is")
    .option('--json', 'JSON: {"tenants":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action((options: CommonOptions) => report(context, options));
  migrations
    .command('run')
    .description(
      'bring everybody forward who is behind, also those who failed before; happens at every start by itself',
    )
    .option('--tenant <name>', 'only this tenant')
    .option(
      '--max-failed <percent>',
      'halt when more than so many of those that were tried have failed, and at least 5',
      '10',
    )
    .option('--json', 'one line of JSON: run with counts, tenants that failed')
    .option('--data <folder>', 'data folder of the installation')
    .action((_: RunOptions, command: Command) => run(context, command.optsWithGlobals<RunOptions>()));
  migrations
    .command('status')
    .description('how far the migration of the fleet is, or how the last one ended, and who failed')
    .option('--json', 'one line of JSON: run with counts, tenants that failed')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (_: CommonOptions, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>();
      const view = await context.connect(options.data).get<FleetRunView>('/api/migration-runs/latest');
      if (options.json) printJson(context, view);
      else print(context, ...describe(view, context.now()));
    });
  migrations
    .command('drift')
    .description(
      'compare schemas with what their versions say, object by object; happens weekly by itself; exit code 1 when one differs',
    )
    .argument('[name]', 'only this tenant')
    .option('--json', 'one line of JSON: tenants with state, differences')
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string | undefined, _: CommonOptions, command: Command) =>
      drift(context, name, command.optsWithGlobals<CommonOptions>()),
    );
}

async function drift(context: CliContext, name: string | undefined, options: CommonOptions): Promise<void> {
  const body = name === undefined ? {} : { tenant: name };
  const { tenants } = await context.connect(options.data).send<DriftView>('POST', '/api/schema-comparisons', body);
  const drifted = tenants.filter(({ state }) => state === 'drifted');
  if (drifted.length > 0) process.exitCode = 1;
  if (options.json) return printJson(context, { tenants });
  for (const { name: who, differences, count } of drifted) {
    const shown = differences.slice(0, shownDifferences);
    print(context, `${who} differs in ${count} ${count === 1 ? 'object' : 'objects'}:`);
    for (const { change, object, expected, found } of shown)
      print(
        context,
        `  ${change.padEnd(7)}  ${plain(object)}`,
        ...(change === 'changed'
          ? [`           is      ${brief(found)}`, `           not     ${brief(expected)}`]
          : []),
      );
    if (count > shown.length) print(context, `  and ${count - shown.length} more (--json)`);
    print(context, '');
  }
  for (const { name: who, state, reason } of tenants)
    if (state === 'unknown' || state === 'unreachable') print(context, `${who}: ${reason ?? state}`);
  const equal = tenants.filter(({ state }) => state === 'equal').length;
  print(context, `${equal} of ${tenants.length} schemas are what their versions say.`);
}

/** One line of a definition, as far as it fits. */
function brief(definition: string | undefined): string {
  const line = plain((definition ?? '').replace(/\s+/g, ' ').trim());
  return line.length > 120 ? `${line.slice(0, 119)}…` : line || '(nothing)';
}

async function report(context: CliContext, options: CommonOptions): Promise<void> {
  const report = await context.connect(options.data).get<FleetReport>('/api/migrations');
  if (options.json) return printJson(context, report);
  const behind = report.tenants.filter((row) => row.problem || isBehind(row.platform) || isBehind(row.appMigrations));
  const count = report.tenants.length;
  if (count === 0) return print(context, 'There are no tenants yet.');
  if (behind.length === 0) {
    return print(context, count === 1 ? 'The only database is up to date.' : `All ${count} databases are up to date.`);
  }
  print(
    context,
    formatTable(
      [
        { title: 'name', value: (row) => row.name },
        { title: 'app', value: (row) => row.app },
        { title: 'platform', value: (row) => `${row.platform.at} of ${row.platform.of}`, align: 'right' },
        {
          title: 'app schema',
          value: (row) => `${row.appMigrations.at} of ${row.appMigrations.of}`,
          align: 'right',
        },
        { title: 'problem', value: (row) => row.problem ?? '' },
      ],
      behind,
    ),
    '',
    `${behind.length} of ${count} databases are not up to date.`,
  );
}

async function run(context: CliContext, options: RunOptions): Promise<void> {
  if (!/^\d{1,3}$/.test(options.maxFailed ?? '') || Number(options.maxFailed) > 100)
    throw new UsageError('--max-failed is a percentage from 0 to 100');
  const client = context.connect(options.data);
  const body = { ...(options.tenant && { tenant: options.tenant }), maxFailedPercent: Number(options.maxFailed) };
  const started = await client.send<FleetRunView>('POST', '/api/migration-runs', body);
  const view = started.run ? await follow(context, client, started.run.runId) : started;
  if (options.json) printJson(context, view);
  else print(context, ...describe(view, context.now()));
  if (view.run && (view.run.state !== 'done' || view.run.counts.failed > 0)) process.exitCode = 1;
}

async function follow(context: CliContext, client: CommandClient, runId: string): Promise<FleetRunView> {
  const bar = createProgressBar(context.streams, 'Migrating');
  try {
    for (;;) {
      const view = await client.get<FleetRunView>('/api/migration-runs/latest');
      if (view.run?.runId !== runId) throw cliErrors.FH_COMMAND_INTERRUPTED({ detail: 'another run took its place' });
      if (view.run.state !== 'running') return view;
      const { settled, total } = countOf(view.run);
      bar.show(settled / Math.max(1, total), `${settled} of ${total}, ${rateOf(view.run, context.now())}`);
      await delay(askEveryMs);
    }
  } finally {
    bar.end();
  }
}

type Run = NonNullable<FleetRunView['run']>;

function countOf({ counts: { waiting, running, done, failed, skipped } }: Run) {
  const settled = done + failed + skipped;
  return { settled, total: settled + waiting + running };
}

function rateOf(run: Run, nowMs: number): string {
  const endMs = run.finishedAt ? new Date(run.finishedAt).getTime() : nowMs;
  const seconds = Math.max(0.001, (endMs - new Date(run.startedAt).getTime()) / 1_000);
  return `${(countOf(run).settled / seconds).toFixed(1)} per second`;
}

function describe({ run, tenants }: FleetRunView, nowMs: number): string[] {
  if (!run) return ['Every database is up to date.'];
  const { settled, total } = countOf(run);
  const { done, failed, skipped } = run.counts;
  const lines = [
    {
      running: `${settled} of ${total} databases are through, ${rateOf(run, nowMs)}.`,
      done: `The migration is through: ${done} of ${total} databases brought forward, ${rateOf(run, nowMs)}.`,
      halted: `The migration was halted: ${run.reason ?? ''}.`,
      superseded: 'Another release took the place of this migration.',
    }[run.state],
  ];
  if (skipped > 0) lines.push(`${skipped} were passed over: suspended, deleted, or in the hands of an operation.`);
  if (failed === 0) return lines;
  return [
    ...lines,
    '',
    formatTable(
      [
        { title: 'name', value: (row) => row.name },
        { title: 'tries', value: (row) => String(row.attempts), align: 'right' },
        { title: 'error', value: (row) => row.error?.text ?? '' },
      ],
      tenants,
    ),
    '',
    `${failed} failed. Each of them is as it was before. Look at log/control.log, mend what is wrong, then:`,
    ...tenants.slice(0, 3).map((row) => `  ./freehold migrations run --tenant ${row.name}`),
    ...(tenants.length > 3 || run.state === 'halted' ? ['  ./freehold migrations run     all of them'] : []),
  ];
}

function isBehind({ at, of }: { at: number; of: number }): boolean {
  return at < of;
}
