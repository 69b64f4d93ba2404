import type { Command } from 'commander';
import type { RestoreEvent, Tenant, WantedMoment } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { UsageError } from './errors.ts';
import { formatFacts } from './table.ts';
import { act } from './tenant-actions.ts';

interface Options extends CommonOptions {
  readonly to?: string;
  readonly toPoint?: string;
  readonly toTransaction?: string;
  readonly toLsn?: string;
  readonly before?: string;
  readonly after?: string;
  readonly as?: string;
  readonly inPlace?: boolean;
  readonly title?: string;
}

export function addRestore(program: Command, context: CliContext): void {
  program
    .command('restore')
    .description('make a new tenant from an earlier moment of another, which stays as it is or is deleted')
    .argument('<name>', 'name, the one of today or that of the moment, or tenant id')
    .option('--to <time>', 'everything until this time, for example 2026-11-22T03:00:00Z')
    .option('--to-point <point>', 'a restore point (with --after)')
    .option('--to-transaction <id>', 'up to and with this transaction (with --after)')
    .option('--to-lsn <lsn>', 'everything written before this place in the WAL')
    .option(
      '--before <event>',
      'just before it was deleted or renamed (delete, rename), or before an operation (opr_…)',
    )
    .option('--after <time>', 'a time that is known to be before the restore point or transaction')
    .option('--as <new>', 'name of the new tenant; default: its own of a deleted one, otherwise NAME-restored')
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
  // In place: with whom names are exchanged. Otherwise the tenant may be deleted, or have another name now; who is meant is found out there.
  const old = options.inPlace ? await client.get<Tenant>(`/api/tenants/${encodeURIComponent(name)}`) : undefined;
  if (old?.state === 'deleted')
    throw new UsageError(
      'a deleted tenant has no place to be restored in',
      'Leave --in-place out: it gets its name back.',
    );
  // In place it keeps its title, and the name given is the one that the old tenant ends up with.
  const newName = options.as ?? (old && `${old.name}-before`);
  const title = options.title ?? old?.title;
  const body = { ...(newName === undefined ? {} : { newName }), ...(title === undefined ? {} : { title }), moment };
  const made = await act(context, client, old?.tenantId ?? name, 'restore', body, `Restoring ${name}`);
  const { operation } = made;
  const source = await client.get<Tenant>(`/api/tenants/${operation.sourceTenantId}`);
  const tenant = old
    ? (await act(context, client, made.tenant.tenantId, 'swap', { other: old.tenantId }, 'Swapping names')).tenant
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
    ...(old
      ? [`The old one is kept as ${newName}. Undo it with: ./freehold tenant swap ${tenant.name} ${newName}`]
      : source.state === 'deleted'
        ? ['The deleted one stays deleted: its key goes when its grace period is over.']
        : [`${source.name} was not touched.`]),
    `Users sign in to ${tenant.name} with the passwords they had then.`,
  );
}

function momentOf({ to, toPoint, toTransaction, toLsn, before, after }: Options): WantedMoment {
  if ([to, toPoint, toTransaction, toLsn, before].filter((given) => given !== undefined).length !== 1)
    throw new UsageError('say which moment: one of --to, --before, --to-point, --to-transaction, --to-lsn');
  if (to !== undefined) return { kind: 'time', time: to };
  if (before !== undefined) return { kind: 'before', event: before as RestoreEvent };
  if (toLsn !== undefined) return { kind: 'lsn', lsn: toLsn };
  if (after === undefined) throw new UsageError('--to-point and --to-transaction need --after');
  if (toPoint !== undefined) return { kind: 'name', name: toPoint, after };
  return { kind: 'xid', xid: toTransaction!, after };
}
