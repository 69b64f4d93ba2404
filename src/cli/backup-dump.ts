import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { DumpedTenant, DumpRunView, DumpView } from '#src/console-api/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatAge, formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatTable } from './table.ts';

const askEveryMs = 250;

/** Dumps of tenants: make and verify some now, and what there is. */
export function addBackupDumpCommands(backup: Command, context: CliContext): void {
  backup
    .command('dump')
    .description('dump one tenant, or all, into every region now, and restore each dump to see that it does')
    .argument('[tenant]', 'name or id of the tenant; default: every tenant')
    .option('--json', 'one line of JSON: state, tenants')
    .option('--data <folder>', 'data folder of the installation')
    .action((tenant: string | undefined, options: CommonOptions) => runDumps(context, tenant, options));

  backup
    .command('dumps')
    .description('show the dumps that the regions hold, the newest first')
    .option('--json', 'JSON: {"dumps":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: CommonOptions) => {
      const found = await context.connect(options.data).get<{ dumps: DumpView[] }>('/api/dumps');
      if (options.json) return printJson(context, found);
      if (found.dumps.length === 0) return print(context, 'There is no dump yet. Make one: ./freehold backup dump');
      const columns = [
        { title: 'tenant', value: (row: DumpView) => row.tenantName || row.tenantId },
        { title: 'dump', value: (row: DumpView) => row.dumpId },
        { title: 'made', value: (row: DumpView) => formatAge(row.madeAt, context.now()) },
        { title: 'stored', value: (row: DumpView) => formatBytes(row.sizeBytes) },
        { title: 'regions', value: (row: DumpView) => row.regions.join(' ') },
        { title: 'verified', value: (row: DumpView) => describeVerification(row, context.now()) },
      ];
      print(context, formatTable(columns, found.dumps));
    });
}

function describeVerification({ verification }: DumpView, now: number): string {
  if (!verification) return 'not yet';
  if (verification.passed) return `${formatAge(verification.finishedAt, now)}, from ${verification.region}`;
  return `UNSOUND: ${verification.findings.map(({ text }) => text).join('; ')}`;
}

async function runDumps(context: CliContext, tenant: string | undefined, options: CommonOptions): Promise<void> {
  const client = context.connect(options.data);
  const bar = createProgressBar(context.streams, 'Dumping');
  let { run } = await client.send<{ run: DumpRunView }>('POST', '/api/dumps', tenant ? { tenant } : {});
  try {
    while (run.state === 'running') {
      const { doneTenants, allTenants, writtenBytes, phase } = run;
      const share = doneTenants / Math.max(1, allTenants);
      bar.show(
        phase === 'verifying' ? 0.8 : 0.8 * share,
        phase === 'verifying'
          ? 'restoring what was dumped'
          : `${doneTenants} of ${allTenants} tenants, ${formatBytes(writtenBytes)}`,
      );
      await delay(askEveryMs);
      run = (await client.get<{ run: DumpRunView | null }>('/api/dumps/latest-run')).run ?? {
        ...run,
        state: 'failed',
        error: { code: 'FH_COMMAND_INTERRUPTED', text: 'control was restarted' },
      };
    }
  } finally {
    bar.end();
  }
  if (options.json && run.state === 'succeeded') return printJson(context, run);
  if (!options.json && run.tenants.length > 0) {
    const columns = [
      { title: 'tenant', value: (row: DumpedTenant) => row.tenantName },
      { title: 'dump', value: (row: DumpedTenant) => row.dumpId ?? '' },
      { title: 'from', value: (row: DumpedTenant) => row.server ?? '' },
      {
        title: 'stored',
        value: (row: DumpedTenant) => (row.sizeBytes === undefined ? '' : formatBytes(row.sizeBytes)),
      },
      { title: 'regions', value: (row: DumpedTenant) => row.regions?.join(' ') ?? '' },
      { title: '', value: describeOutcome },
    ];
    print(context, formatTable(columns, run.tenants));
  }
  if (run.state === 'failed')
    throw cliErrors.FH_OPERATION_FAILED({
      detail: `${run.error?.text ?? 'the dumps'} (${run.error?.code ?? '?'})`,
      hint: 'A dump that did not end well is in no region. Look at ./freehold doctor, then try again.',
    });
}

function describeOutcome({ outcome, verified, error }: DumpedTenant): string {
  if (outcome === 'failed') return `failed: ${error?.text ?? ''}`;
  if (!verified) return outcome === 'unchanged' ? 'unchanged' : 'not verified';
  return verified.passed ? `restores, seen from ${verified.region}` : `DOES NOT RESTORE from ${verified.region}`;
}
