import type { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { type CliContext, type CommonOptions, print, printJson, UsageError } from '#src/cli/index.ts';
import type { BackupServices } from './backup-services.ts';

interface Options extends CommonOptions {
  readonly yes: boolean;
}

/** Only on the command socket, like everything that lets somebody in: whoever holds a kit and a region can read everything. */
export function recoveryKitRoutes(backups: BackupServices) {
  return async (app: FastifyInstance): Promise<void> => {
    app.post('/api/recovery-kit', { config: { operation: 'recovery_kit.replace' } }, async (_request, reply) =>
      reply.code(201).send({ kit: await backups.replaceKits() }),
    );
  };
}

/** `recovery-kit`: the page with which, and with one region, everything is rebuilt. */
export function addRecoveryKitCommand(program: Command, context: CliContext): void {
  program
    .command('recovery-kit')
    .description('print a new recovery kit; those printed before open nothing any more')
    .option('--yes', 'do not ask', false)
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable: kit', false)
    .action(async (options: Options) => {
      if (!options.yes)
        throw new UsageError(
          'a new recovery kit makes the printed one worthless',
          'When you have a printer at hand: ./freehold recovery-kit --yes',
        );
      const { kit } = await context.connect(options.data).send<{ kit: string }>('POST', '/api/recovery-kit', {});
      if (options.json) printJson(context, { kit });
      else print(context, kit);
    });
}
