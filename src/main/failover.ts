import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import {
  type CliContext,
  type CommonOptions,
  findInstallation,
  formatBytes,
  formatFacts,
  instancesFolder,
  print,
  printJson,
  UsageError,
} from '#src/cli/index.ts';
import { type FailoverReport, planFailover } from '#src/clusters/index.ts';
import type { FreeholdError } from '#src/kernel/index.ts';
import { defaultDataDir } from './config.ts';
import { foldersOf } from './folders.ts';
import { lockInstance } from './instance.ts';
import { connectToSupervisor } from './supervisor-link.ts';

interface Options extends CommonOptions {
  readonly yes: boolean;
  readonly acceptLoss: boolean;
}

/** `failover`: the standby takes over. Speaks with the supervisor itself, because control may not be there when it is needed most. */
export function addFailoverCommand(program: Command, context: CliContext): void {
  program
    .command('failover')
    .description('make the standby the primary; the old primary is stopped first and follows afterwards')
    .option('--yes', 'do not ask', false)
    .option(
      '--accept-loss',
      'also when tenants with recovery point zero could lose what they were told to be saved',
      false,
    )
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable: from, to, planned, lostBytes, shipped, closedMs', false)
    .action((options: Options) => failOver(context, options));
}

async function failOver(context: CliContext, options: Options): Promise<void> {
  const dataDir = findRunning(context, options);
  if (dataDir === undefined) return planForNextStart(context, options);
  const supervisor = connectToSupervisor(foldersOf(dataDir).supervisorSocket, (text) => {
    if (!options.json) context.streams.stderr.write(`freehold: ${text}\n`);
  });
  try {
    const { primary, standby } = await supervisor.describeCluster();
    if (!options.yes && !(await confirm(context, options, primary, standby.state))) return;
    const report = await supervisor.failover({ acceptLoss: options.acceptLoss });
    if (options.json) printJson(context, report);
    else print(context, `${report.to} is the primary now.`, '', formatFacts(describe(report)));
  } finally {
    await supervisor.close();
  }
}

/** undefined: nothing runs on the folder that is meant. */
function findRunning(context: CliContext, options: Options): string | undefined {
  try {
    const { dataDir } = findInstallation(options.data, context.env);
    return existsSync(foldersOf(dataDir).supervisorSocket) ? dataDir : undefined;
  } catch (error) {
    if ((error as FreeholdError).code === 'FH_NOT_RUNNING') return undefined;
    throw error;
  }
}

/** For a primary that keeps `up` from starting: the roles change with the next start. */
async function planForNextStart(context: CliContext, options: Options): Promise<void> {
  const { env } = context;
  const dataDir = resolve(options.data ?? env.FREEHOLD_DATA ?? defaultDataDir(env));
  if (!options.yes)
    throw new UsageError(
      'nothing runs here, so the primary cannot be asked for what it has not sent',
      `If it does not start any more: ./freehold failover --yes --data ${dataDir}`,
    );
  const folders = foldersOf(dataDir);
  const lock = await lockInstance(dataDir, instancesFolder(env));
  try {
    const to = await planFailover({
      rolesFile: folders.clusterRoles,
      dataDirs: { main: folders.cluster, standby: folders.standby },
      acceptLoss: options.acceptLoss,
    });
    if (options.json) printJson(context, { to, planned: false, atNextStart: true });
    else print(context, `The next ./freehold up makes ${to} the primary.`);
  } finally {
    lock.release();
  }
}

async function confirm({ streams }: CliContext, options: Options, primary: string, standby: string): Promise<boolean> {
  if (options.json || !streams.stdin.isTTY)
    throw new UsageError('a failover needs a yes', 'Say it on the command line: ./freehold failover --yes');
  streams.stderr.write(
    `The primary (${primary}) is stopped and the standby (${standby}) takes its place. Requests fail for about a second.\n` +
      'A primary that answers loses nothing. One that does not is ended, and all of its log that can be read is taken over,\n' +
      'from its folder or from what was shipped.\n\n',
  );
  const prompt = createInterface({ input: streams.stdin, output: streams.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question('Go on? (yes or no) ')).trim());
  } finally {
    prompt.close();
  }
}

function describe({ planned, lostBytes, shipped, closedMs }: FailoverReport): [string, string][] {
  return [
    [
      'Old primary',
      planned ? 'stopped in order; it follows the new one now' : 'ended; it is copied anew as the standby',
    ],
    ['Lost', describeLoss({ lostBytes, shipped })],
    ...describeShipped(shipped),
    ['Closed for', `${closedMs} ms`],
  ];
}

function describeLoss({ lostBytes, shipped }: Pick<FailoverReport, 'lostBytes' | 'shipped'>): string {
  if (lostBytes === 0) return 'nothing';
  if (lostBytes !== undefined) return `${formatBytes(lostBytes)} of log that the old primary had written`;
  const unread = 'the log of the old primary could not be read';
  if (!shipped) return `unknown: ${unread}`;
  return shipped.isComplete
    ? `of tenants with recovery point zero nothing; of the others what was not shipped yet, about a second: ${unread}`
    : `unknown: ${unread}, and not all that was shipped could be had`;
}

function describeShipped(shipped: FailoverReport['shipped']): [string, string][] {
  if (!shipped) return [];
  const { takenBytes, places, problem } = shipped;
  const silent = places.flatMap((place) => (place.problem ? [`${place.name}: ${place.problem}`] : []));
  const asked = places.flatMap((place) => (place.problem ? [] : [place.name])).join(', ') || 'nobody';
  return [
    ['From what was shipped', `${formatBytes(takenBytes)} (${asked})`],
    ...[...new Set([...silent, ...(problem ? [problem] : [])])].map((text): [string, string] => ['Not had', text]),
  ];
}
