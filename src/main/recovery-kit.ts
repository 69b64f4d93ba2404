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
    app.post('/api/cluster-key', { config: { operation: 'cluster_key.rotate' } }, async (_request, reply) =>
      reply.code(201).send({ keyId: await backups.rotateClusterKey() }),
    );
  };
}

/** `rotate-key`: everything that is sealed from now on is sealed under a new key; nothing that lies in regions is written again. */
export function addRotateKeyCommand(program: Command, context: CliContext): void {
  program
    .command('rotate-key')
    .description('seal everything of the cluster under a new key from now on; what is sealed stays readable')
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable: keyId', false)
    .action(async (options: CommonOptions) => {
      const { keyId } = await context.connect(options.data).send<{ keyId: string }>('POST', '/api/cluster-key', {});
      if (options.json) printJson(context, { keyId });
      else
        print(
          context,
          `The key of the cluster is ${keyId} now. It lies in the regions; older keys stay for what they sealed.`,
        );
    });
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
