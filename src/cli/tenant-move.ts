import { type Command, Option } from 'commander';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { UsageError } from './errors.ts';
import { act } from './tenant-actions.ts';

interface Options extends CommonOptions {
  readonly to?: 'standard' | 'private-cloud';
  readonly undo: boolean;
  readonly confirm: boolean;
}

/** `tenant move`: to another edition, and with it to another PostgreSQL server. */
export function addTenantMove(tenant: Command, context: CliContext): void {
  tenant
    .command('move')
    .description('move a tenant to another edition, and so to another PostgreSQL server, while it is in use')
    .argument('<name>', 'name or tenant id')
    .addOption(new Option('--to <edition>', 'where to').choices(['standard', 'private-cloud']))
    .option('--undo', 'move it back, with everything that was written since', false)
    .option('--confirm', 'the last move is final: remove the database that it left', false)
    .option('--json', 'one line of JSON: the tenant and the operation', false)
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string, options: Options) => moveTenant(context, name, options));
}

async function moveTenant(context: CliContext, name: string, options: Options): Promise<void> {
  const { to, undo, confirm, json } = options;
  if ([to !== undefined, undo, confirm].filter(Boolean).length !== 1)
    throw new UsageError('say what is to be done', 'Write one of: --to EDITION, --undo, --confirm');
  const client = context.connect(options.data);
  if (confirm) {
    await client.send('POST', `/api/tenants/${encodeURIComponent(name)}/move/confirm`, {});
    if (json) printJson(context, { confirmed: true });
    else print(context, `The move of ${name} is final.`);
    return;
  }
  const input = undo ? { undo } : { edition: to };
  const { operation, tenant: found } = await act(context, client, name, 'move', input, `Moving ${name}`);
  if (json) return printJson(context, { tenant: found, operation });
  const where = found.edition === 'private-cloud' ? 'a PostgreSQL server of its own' : 'the shared PostgreSQL server';
  print(
    context,
    `Tenant ${found.name} is on ${where} now. Nobody was signed out; its content is the same, digest for digest.`,
    '',
    `The database that it left is kept until ${operation.result.keptUntil}.`,
    `Take the move back with:  ./freehold tenant move ${found.name} --undo`,
    `Or remove that database:  ./freehold tenant move ${found.name} --confirm`,
  );
}
