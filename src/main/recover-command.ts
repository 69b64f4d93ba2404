import type { Command } from 'commander';
import type { CliContext } from '#src/cli/index.ts';

export interface RecoverOptions {
  readonly region: string;
  readonly kit: string;
  readonly data?: string;
  readonly to?: string;
  readonly json?: boolean;
}

/** `recover`: everything, on an empty machine, from one region and the recovery kit. Nothing of Freehold runs while it works. */
export function addRecoverCommand(program: Command, context: CliContext): void {
  program
    .command('recover')
    .description('rebuild the whole installation from one region and the recovery kit, into an empty data folder')
    .requiredOption('--region <name=folder>', 'the region that is left, for example a=/mnt/region-a')
    .requiredOption('--kit <file>', 'a file with the text of the recovery kit')
    .option('--to <time>', 'everything until this time; default: all that the region holds')
    .option('--data <dir>', 'the new data folder; default: as for up')
    .option('--json', 'one line of JSON: dataDir, lastCommitAt, lsn, tenants, files, durationMs')
    .action(async (options: RecoverOptions) => {
      const { recover } = await import('./recover.ts');
      return recover(context, options);
    });
}
