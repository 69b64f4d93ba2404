import { type Command, Option } from 'commander';
import type { Operation, RecoveryPoint, Tenant } from '#src/tenants/index.ts';
import { recoveryPoints } from '#src/tenants/types.ts';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { followOperation } from './follow.ts';

type TenantView = Tenant & { readonly url: string };

/** Starts an operation on a tenant, waits for it, and reads the tenant again. */
export async function act(
  context: CliContext,
  client: CommandClient,
  name: string,
  verb: string,
  body: object,
  title: string,
): Promise<{ operation: Operation; tenant: TenantView }> {
  const path = `/api/tenants/${encodeURIComponent(name)}/${verb}`;
  const { operation } = await client.send<{ operation: Operation }>('POST', path, body);
  const done = await followOperation(context, client, operation, title);
  return { operation: done, tenant: await client.get<TenantView>(`/api/tenants/${operation.tenantId}`) };
}

function report(context: CliContext, options: CommonOptions, tenant: TenantView, ...lines: string[]): void {
  const { tenantId, name, url, state, recoveryPoint } = tenant;
  if (options.json) printJson(context, { tenantId, name, url, state, recoveryPoint });
  else print(context, ...lines);
}

const common = (command: Command): Command =>
  command
    .option('--json', 'one line of JSON: tenantId, name, url, state, recoveryPoint')
    .option('--data <folder>', 'data folder of the installation');

export function addTenantActions(tenant: Command, context: CliContext): void {
  common(
    tenant
      .command('suspend')
      .description('close a tenant for use; its data is kept')
      .argument('<name>', 'name or tenant id')
      .option('--reason <text>', 'why; kept with the security event'),
  ).action(async (name: string, options: CommonOptions & { reason?: string }) => {
    const body = options.reason === undefined ? {} : { reason: options.reason };
    const client = context.connect(options.data);
    const { tenant: found } = await act(context, client, name, 'suspend', body, `Suspending ${name}`);
    report(
      context,
      options,
      found,
      `Tenant ${found.name} is suspended: nobody can sign in, and its data is kept.`,
      `Open it again with: ./freehold tenant resume ${found.name}`,
    );
  });

  common(
    tenant.command('resume').description('open a suspended tenant again').argument('<name>', 'name or tenant id'),
  ).action(async (name: string, options: CommonOptions) => {
    const client = context.connect(options.data);
    const { tenant: found } = await act(context, client, name, 'resume', {}, `Resuming ${name}`);
    report(context, options, found, `Tenant ${found.name} is open at ${found.url}`);
  });

  common(
    tenant
      .command('rename')
      .description('give a tenant another host name; the old one stays held back')
      .argument('<old>', 'name or tenant id')
      .argument('<new>', 'new name'),
  ).action(async (name: string, newName: string, options: CommonOptions) => {
    const client = context.connect(options.data);
    const { operation, tenant: found } = await act(context, client, name, 'rename', { newName }, `Renaming ${name}`);
    report(
      context,
      options,
      found,
      `Tenant ${operation.tenantName} is now ${found.name}, at ${found.url}`,
      `The old address no longer answers. Users sign in again at the new one.`,
    );
  });

  common(
    tenant
      .command('swap')
      .description('let two tenants exchange their host names, for example one and its restored copy; again to undo')
      .argument('<name>', 'name or tenant id')
      .argument('<other>', 'name or tenant id'),
  ).action(async (name: string, other: string, options: CommonOptions) => {
    const client = context.connect(options.data);
    const { operation, tenant: found } = await act(context, client, name, 'swap', { other }, `Swapping ${name}`);
    report(
      context,
      options,
      found,
      `Tenant ${operation.tenantName} is now ${found.name}, and the other way round. Users sign in again.`,
      `Undo it with: ./freehold tenant swap ${found.name} ${operation.tenantName}`,
    );
  });

  common(
    tenant
      .command('set')
      .description('change how a tenant is kept')
      .argument('<name>', 'name or tenant id')
      .addOption(
        new Option('--recovery-point <how>', 'what may be lost with the primary: a second of work, or nothing (zero)')
          .choices(recoveryPoints)
          .makeOptionMandatory(),
      ),
  ).action(async (name: string, options: CommonOptions & { recoveryPoint: RecoveryPoint }) => {
    const { recoveryPoint } = options;
    const client = context.connect(options.data);
    const { tenant: found } = await act(context, client, name, 'set', { recoveryPoint }, `Changing ${name}`);
    const lines =
      recoveryPoint === 'zero'
        ? [
            `Tenant ${found.name} loses nothing that was saved: each change waits until every region has it.`,
            'While a region is away its changes are refused after 15 seconds. Lower it with:',
            `  ./freehold tenant set ${found.name} --recovery-point second`,
          ]
        : [`Tenant ${found.name} waits for no region: with the primary, the work of the last second may be lost.`];
    report(context, options, found, ...lines);
  });

  common(
    tenant
      .command('clone')
      .description('copy a tenant, without sessions and invitations')
      .argument('<source>', 'name or tenant id')
      .argument('<new>', 'name of the copy')
      .option('--title <text>', 'title of the copy'),
  ).action(async (source: string, newName: string, options: CommonOptions & { title?: string }) => {
    const body = { newName, ...(options.title === undefined ? {} : { title: options.title }) };
    const client = context.connect(options.data);
    const { tenant: copy } = await act(context, client, source, 'clone', body, `Copying ${source}`);
    report(
      context,
      options,
      copy,
      `Tenant ${copy.name} is a copy of ${source}, at ${copy.url}`,
      'Its users sign in with the passwords they had when it was copied.',
    );
  });
}
