/**
 * cli: one file per command. Commands speak with the running installation over its command socket and know nothing of its inside.
 * Invariants: standard output belongs to the result (one JSON line with --json); errors say what happened, why and what to type next,
 * on standard error; exit code 0 only on success, 2 for a command line that makes no sense, 1 for everything else.
 */
import { Command, CommanderError } from 'commander';
import { systemClock } from '#src/kernel/index.ts';
import { addAppCommands } from './app.ts';
import { addBackupCommands } from './backup.ts';
import { addDrillCommand } from './checks.ts';
import { createCommandClient } from './client.ts';
import type { CliContext, Env, Streams } from './context.ts';
import { findInstallation } from './instances.ts';
import { addMigrationCommands } from './migrations.ts';
import { addOperationCommands } from './operations.ts';
import { addPluginCommands } from './plugin.ts';
import { printError } from './print-error.ts';
import { addRecordCommands } from './records.ts';
import { addReleaseCommands } from './release.ts';
import { addRestore } from './restore.ts';
import { addTenantActions } from './tenant-actions.ts';
import { addTenantCreate } from './tenant-create.ts';
import { addTenantDelete } from './tenant-delete.ts';
import { addTenantExport } from './tenant-export.ts';
import { addTenantImport } from './tenant-import.ts';
import { addTenantList, addTenantShow } from './tenant-list.ts';
import { addTenantMove } from './tenant-move.ts';
import { addTenantResidency } from './tenant-residency.ts';

export { type CommandClient, createCommandClient } from './client.ts';
export type { CliContext, CommonOptions, Env, Streams } from './context.ts';
export { print, printJson } from './context.ts';
export { cliErrors, UsageError } from './errors.ts';
export { followOperation } from './follow.ts';
export { formatAge, formatBytes } from './format.ts';
export { findInstallation, instancesFolder, listInstallations } from './instances.ts';
export { printError } from './print-error.ts';
export { createProgressBar } from './progress.ts';
export { formatFacts, formatTable } from './table.ts';

export interface CliOptions {
  /** Adds further commands, for example `up`. */
  readonly extend?: (program: Command, context: CliContext) => void;
  readonly version?: string;
}

/**
 * Runs one command line.
 * @param argv without the program: `process.argv.slice(2)`
 * @returns the exit code
 */
export async function runCli(
  argv: readonly string[],
  env: Env,
  streams: Streams,
  options: CliOptions = {},
): Promise<number> {
  const context: CliContext = {
    env,
    streams,
    connect: (dataDir) => createCommandClient(findInstallation(dataDir, env).commandSocket),
    now: systemClock.now,
  };
  const json = argv.includes('--json');
  let help = '';
  const program = new Command('freehold')
    .description('runs a web application as a cloud service in which every customer owns a database of their own')
    .exitOverride()
    .showHelpAfterError(false)
    // With --json the one line of printError is all that standard error gets.
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => {
        help += text;
      },
    });
  if (options.version) program.version(options.version);
  options.extend?.(program, context);
  const tenant = program.command('tenant').description('tenants: create, show, change, move, delete');
  addTenantCreate(tenant, context);
  addTenantList(tenant, context);
  addTenantShow(tenant, context);
  addTenantActions(tenant, context);
  addTenantExport(tenant, context);
  addTenantImport(tenant, context);
  addTenantMove(tenant, context);
  addTenantResidency(tenant, context);
  addTenantDelete(tenant, context);
  addAppCommands(program, context);
  addBackupCommands(program, context);
  addDrillCommand(program, context);
  addRestore(program, context);
  addOperationCommands(program, context);
  addRecordCommands(program, context);
  addMigrationCommands(program, context);
  addReleaseCommands(program, context);
  addPluginCommands(program, context);
  inheritSettings(program);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // A command that only has sub-commands was given alone.
    if (error instanceof CommanderError && error.code === 'commander.help' && !json) {
      streams.stderr.write(help);
      return 2;
    }
    return printError(streams, error, json, pathOf(program, argv));
  }
}

/** Sub-commands made before a setting do not have it: all of them, whoever added them. */
function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritSettings(child);
  }
}

/** `tenant create`: the command that a command line names, for pointing to its help. */
function pathOf(program: Command, argv: readonly string[]): string {
  const words: string[] = [];
  let command: Command | undefined = program;
  for (const word of argv) {
    command = command.commands.find((child) => child.name() === word);
    if (!command) break;
    words.push(word);
  }
  return words.join(' ');
}
