import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CheckRun, DrillRun, Finding, VerificationRun } from '#src/console-api/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts } from './table.ts';

interface Options extends CommonOptions {
  readonly region?: string;
  readonly cluster?: string;
}

const askEveryMs = 250;

export function addBackupVerifyCommand(backup: Command, context: CliContext): void {
  backup
    .command('verify')
    .description('restore a base backup from one region and compare what comes out of it; exit code 1 when it is wrong')
    .argument('[backup]', 'id of the base backup; default: the newest')
    .option('--region <name>', 'the only region to read; default: the one that was not read the last time')
    .option('--cluster <name>', 'a private server; default: the shared one')
    .option('--json', 'one line of JSON: passed, region, findings, checked')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (backupId: string | undefined, options: Options) => {
      const body = {
        ...(backupId !== undefined && { backupId }),
        ...(options.region && { region: options.region }),
        ...(options.cluster && { cluster: options.cluster }),
      };
      const run = await follow<VerificationRun>(context, options, '/api/verifications', body, 'Verifying');
      const { verification } = run;
      if (!verification) throw interrupted(run);
      if (!verification.passed) process.exitCode = 1;
      if (options.json) return printJson(context, verification);
      const { checked, findings, region, subject } = verification;
      const left = [
        checked.busyTenants ? `, ${checked.busyTenants} were being written all the time` : '',
        checked.destroyedTenants ? `, ${checked.destroyedTenants} left out because their keys are destroyed` : '',
      ].join('');
      print(
        context,
        verification.passed
          ? `Base backup ${subject} was restored from region ${region} alone, and is what it should be.`
          : `Base backup ${subject}, restored from region ${region} alone, is NOT what it should be.`,
        '',
        ...describeFindings(findings),
        formatFacts([
          ['reached', checked.target ?? 'nothing'],
          ['tenants compared', `${checked.tenants ?? 0} of ${checked.ofTenants ?? '?'}${left}`],
          ['tables', String(checked.tables ?? 0)],
          ['rows', String(checked.rows ?? 0)],
        ]),
      );
    });
}

export function addDrillCommand(program: Command, context: CliContext): void {
  program
    .command('drill')
    .description('rebuild the whole installation from one region alone, beside the running one, and measure it')
    .option('--region <name>', 'the only region to read; default: the one that was not used the last time')
    .option('--cluster <name>', 'a private server instead')
    .option('--json', 'one line of JSON: passed, region, recoveryPointMs, recoveryTimeMs, findings, checked')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: Options) => {
      const body = {
        ...(options.region && { region: options.region }),
        ...(options.cluster && { cluster: options.cluster }),
      };
      const what = options.cluster ? `The private server ${options.cluster}` : 'The installation';
      const run = await follow<DrillRun>(context, options, '/api/drills', body, 'Drill');
      const { drill } = run;
      if (!drill) throw interrupted(run);
      if (!drill.passed) process.exitCode = 1;
      if (options.json) return printJson(context, drill);
      const seconds = (ms: number | undefined, words: string) =>
        ms === undefined ? 'not measured' : `${(ms / 1_000).toFixed(1)} s ${words}`;
      const { checked } = drill;
      print(
        context,
        drill.passed
          ? `${what} was rebuilt from region ${drill.region} alone, looked at, and removed again.`
          : `${what} could NOT be rebuilt from region ${drill.region} as it should be.`,
        '',
        ...describeFindings(drill.findings),
        formatFacts([
          ['recovery point', seconds(drill.recoveryPointMs, 'of work would have been lost')],
          ['recovery time', seconds(drill.recoveryTimeMs, 'until control and every tenant answered')],
          ['tenants', `${checked.ofTenants ?? 0} answered, ${checked.tenants ?? 0} compared row by row`],
        ]),
      );
    });
}

async function follow<Run extends CheckRun>(
  context: CliContext,
  options: Options,
  path: string,
  body: object,
  title: string,
): Promise<Run> {
  const client = context.connect(options.data);
  const bar = createProgressBar(context.streams, title);
  let { run } = await client.send<{ run: Run }>('POST', path, body);
  const { startedAt } = run;
  try {
    while (run.state === 'running') {
      bar.show(run.fraction, run.text);
      await delay(askEveryMs);
      const latest = (await client.get<{ run: Run | null }>(`${path}/latest-run`)).run;
      // Control was restarted, or another one was begun since: ours is over.
      if (latest?.startedAt !== startedAt) throw cliErrors.FH_COMMAND_INTERRUPTED();
      run = latest;
    }
  } finally {
    bar.end();
  }
  return run;
}

function describeFindings(findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  return [
    ...findings.map(({ tenantName, tenantId, text }) => {
      const whose = tenantName ?? tenantId;
      return `  ${whose ? `Tenant ${whose}: ` : ''}${text}`;
    }),
    '',
  ];
}

function interrupted({ error }: CheckRun) {
  return cliErrors.FH_OPERATION_FAILED({
    detail: error ? `${error.text} (${error.code})` : 'it was interrupted',
    hint: 'What it had begun is removed. Look at ./freehold doctor, then try again.',
  });
}
