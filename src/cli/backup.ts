import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { BackupList, BackupRun } from '#src/console-api/index.ts';
import { addBackupDumpCommands } from './backup-dump.ts';
import { addBackupPruneCommand } from './backup-prune.ts';
import { addBackupVerifyCommand } from './checks.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatAge, formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts, formatTable } from './table.ts';

const askEveryMs = 250;

/** Base backups: take one now, and what there is. */
export function addBackupCommands(program: Command, context: CliContext): void {
  const backup = program.command('backup').description('base backups: take one, list them, remove what is too old');

  backup
    .command('run')
    .description('take a base backup now, into every region')
    .option('--json', 'one line of JSON: state, backup, storedDatabases, unchangedDatabases, writtenBytes')
    .option('--data <folder>', 'data folder of the installation')
    .action((options: CommonOptions) => runBackup(context, options));

  backup
    .command('list')
    .description('show the base backups that the regions hold, the newest first')
    .option('--json', 'JSON: {"backups":[…],"away":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: CommonOptions) => {
      const found = await context.connect(options.data).get<BackupList>('/api/backups');
      if (options.json) return printJson(context, found);
      if (found.backups.length === 0) print(context, 'There is no base backup yet. Take one: ./freehold backup run');
      else
        print(
          context,
          formatTable(
            [
              { title: 'backup', value: (row) => row.backupId },
              { title: 'server', value: (row) => row.cluster ?? 'main' },
              { title: 'taken', value: (row) => formatAge(row.finishedAt, context.now()) },
              { title: 'databases', value: (row) => String(row.databases) },
              { title: 'size', value: (row) => formatBytes(row.sizeBytes) },
              { title: 'stored', value: (row) => formatBytes(row.storedBytes) },
              { title: 'regions', value: (row) => row.regions.join(' ') },
              { title: '', value: (row) => (row.suspect ? 'SUSPECT: a page failed its checksum' : '') },
            ],
            found.backups,
          ),
        );
      for (const region of found.away) print(context, `Region ${region} does not answer.`);
    });

  addBackupDumpCommands(backup, context);
  addBackupVerifyCommand(backup, context);
  addBackupPruneCommand(backup, context);
}

async function runBackup(context: CliContext, options: CommonOptions): Promise<void> {
  const client = context.connect(options.data);
  const bar = createProgressBar(context.streams, 'Taking a base backup');
  let { run } = await client.send<{ run: BackupRun }>('POST', '/api/backups', {});
  try {
    while (run.state === 'running') {
      const { readBytes, expectedBytes } = run;
      bar.show(expectedBytes ? readBytes / expectedBytes : 0, `${formatBytes(readBytes)} read`);
      await delay(askEveryMs);
      run = (await client.get<{ run: BackupRun | null }>('/api/backups/latest-run')).run ?? {
        ...run,
        state: 'failed',
        error: { code: 'FH_COMMAND_INTERRUPTED', text: 'control was restarted' },
      };
    }
  } finally {
    bar.end();
  }
  if (run.state === 'failed' || !run.backup)
    throw cliErrors.FH_OPERATION_FAILED({
      detail: `${run.error?.text ?? 'the backup'} (${run.error?.code ?? '?'})`,
      hint: 'There is no half a backup: what was written is removed later. Look at ./freehold doctor, then try again.',
    });
  if (options.json) return printJson(context, run);
  const { backup, storedDatabases = 0, unchangedDatabases = 0, writtenBytes = 0 } = run;
  print(
    context,
    `Base backup ${backup.backupId} is complete.`,
    '',
    formatFacts([
      ['regions', backup.regions.join(', ')],
      ['databases', `${backup.databases} (${storedDatabases} stored, ${unchangedDatabases} unchanged since the last)`],
      ['size', `${formatBytes(backup.sizeBytes)}, ${formatBytes(writtenBytes)} written to each region`],
    ]),
  );
}
