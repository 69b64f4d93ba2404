import type { Command } from 'commander';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { followOperation } from './follow.ts';
import { formatFacts } from './table.ts';
import { type ResidencyOptions, residencyOf } from './tenant-residency.ts';

interface Options extends CommonOptions, ResidencyOptions {
  readonly adminEmail: string;
  readonly app?: string;
  readonly edition?: string;
  readonly title?: string;
}

export function addTenantCreate(tenant: Command, context: CliContext): void {
  tenant
    .command('create')
    .description('make a tenant with a database of its own, and invite its first administrator')
    .argument('<name>', 'host name: the tenant lives at https://NAME.DOMAIN')
    .requiredOption('--admin-email <address>', 'e-mail address of the first administrator')
    .option('--app <name>', 'app to host')
    .option('--edition <edition>', 'standard or private-cloud', 'standard')
    .option('--allow <places>', 'places that its data may be in, with commas between, such as eu; default: anywhere')
    .option('--allow-copies <places>', 'places that its backups may be in; default: as --allow')
    .option('--title <text>', 'name as people write it; default: the host name')
    .option('--json', 'one line of JSON: tenantId, name, url, adminEmail, invitationUrl')
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string, options: Options) => createTenant(context, name, options));
}

async function createTenant(context: CliContext, name: string, options: Options): Promise<void> {
  const client = context.connect(options.data);
  const { adminEmail, app, edition, title } = options;
  const residency = residencyOf(options);
  const { operation } = await client.send<{ operation: Operation }>('POST', '/api/tenants', {
    name,
    adminEmail,
    ...(app === undefined ? {} : { app }),
    ...(edition === undefined ? {} : { edition }),
    ...(title === undefined ? {} : { title }),
    ...(residency && { residency }),
  });
  const done = await followOperation(context, client, operation, `Creating ${name}`);
  const secret = `/api/operations/${operation.operationId}/secret-result`;
  const { invitationUrl } = await client.send<{ invitationUrl: string }>('POST', secret, {});
  const made = await client.get<Tenant & { url: string }>(`/api/tenants/${operation.tenantId}`);
  const { tenantId, url } = made;
  if (options.json) {
    printJson(context, { tenantId, name: made.name, url, adminEmail: made.adminEmail, invitationUrl });
    return;
  }
  print(
    context,
    `Tenant ${made.name} is ready.`,
    '',
    formatFacts([
      ['address', url],
      ['administrator', made.adminEmail],
      ['invitation', invitationUrl],
      ['tenant id', tenantId],
    ]),
    '',
    `Send the invitation to the administrator. It works once, until ${done.result.invitationExpiresAt}, and is not shown again.`,
  );
}
