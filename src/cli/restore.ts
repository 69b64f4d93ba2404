import type { Command } from 'commander';
import type { RestoreMoment, Tenant } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { UsageError } from './errors.ts';
import { formatFacts } from './table.ts';
import { act } from './tenant-actions.ts';

interface Options extends CommonOptions {
  readonly to?: string;
  readonly toPoint?: string;
  readonly toTransaction?: string;
  readonly toLsn?: string;
  readonly after?: string;
  readonly as?: string;
  readonly inPlace?: boolean;
  readonly title?: string;
}

export function addRestore(program: Command, context: CliContext): void {
  program
    .command('restore')
    .description('make a new tenant from an earlier moment of another, which stays as it is')
    .argument('<name>', 'name or tenant id')
    .option('--to <time>', 'everything until this time, for example 2026-11-22T03:00:00Z')
    .option('--to-point <point>', 'a restore point (with --after)')
    .option('--to-transaction <id>', 'up to and with this transaction (with --after)')
    .option('--to-lsn <lsn>', 'everything written before this place in the WAL')
    .option('--after <time>', 'a time that is known to be before the restore point or transaction')
    .option('--as <new>', 'name of the new tenant; default: NAME-restored')
    .option(
      '--in-place',
      'then exchange names: the restored tenant answers at NAME, the old one is kept as NAME-before',
    )
    .option('--title <text>', 'title of the new tenant')
    .option('--json', 'one line of JSON: tenantId, name, url, state, contentHash, lastCommitAt')
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string, options: Options) => restore(context, name, options));
}

async function restore(context: CliContext, name: string, options: Options): Promise<void> {
  const moment = momentOf(options);
  const client = context.connect(options.data);
  const source = await client.get<Tenant>(`/api/tenants/${encodeURIComponent(name)}`);
  // In place it keeps its title, and the name given is the one that the old tenant ends up with.
  const newName = options.as ?? `${source.name}-${options.inPlace ? 'before' : 'restored'}`;
  const title = options.title ?? (options.inPlace ? source.title : undefined);
  const body = { newName, ...(title === undefined ? {} : { title }), moment };
  const made = await act(context, client, source.tenantId, 'restore', body, `Restoring ${source.name}`);
  const { operation } = made;
  const tenant = options.inPlace
    ? (await act(context, client, made.tenant.tenantId, 'swap', { other: source.tenantId }, 'Swapping names')).tenant
    : made.tenant;
  const { tenantId, url, state } = tenant;
  const { contentHash, lastCommitAt } = operation.result;
  if (options.json) return printJson(context, { tenantId, name: tenant.name, url, state, contentHash, lastCommitAt });
  print(
    context,
    `Tenant ${tenant.name} is ${source.name} as it was, at ${url}`,
    '',
    formatFacts([
      ['last change in the backup', String(lastCommitAt || 'before the base backup')],
      ['content', String(contentHash)],
      ['tenant id', tenantId],
    ]),
    '',
    ...(options.inPlace
      ? [`The old one is kept as ${newName}. Undo it with: ./freehold tenant swap ${tenant.name} ${newName}`]
      : [`${source.name} was not touched.`]),
    `Users sign in to ${tenant.name} with the passwords they had then.`,
  );
}

function momentOf({ to, toPoint, toTransaction, toLsn, after }: Options): RestoreMoment {
  if ([to, toPoint, toTransaction, toLsn].filter((given) => given !== undefined).length !== 1)
    throw new UsageError('say which moment: one of --to, --to-point, --to-transaction, --to-lsn');
  if (to !== undefined) return { kind: 'time', time: to };
  if (toLsn !== undefined) return { kind: 'lsn', lsn: toLsn };
  if (after === undefined) throw new UsageError('--to-point and --to-transaction need --after');
  if (toPoint !== undefined) return { kind: 'name', name: toPoint, after };
  return { kind: 'xid', xid: toTransaction!, after };
}
