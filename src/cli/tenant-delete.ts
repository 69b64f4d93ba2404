import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { DeletionCertificate, Tenant } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors, UsageError } from './errors.ts';
import { formatBytes } from './format.ts';
import { formatFacts } from './table.ts';
import { act } from './tenant-actions.ts';

interface Options extends CommonOptions {
  readonly now?: boolean;
  readonly confirm?: string;
}

export function addTenantDelete(tenant: Command, context: CliContext): void {
  tenant
    .command('delete')
    .description('delete a tenant: database, files and exports at once, its key after the grace period')
    .argument('<name>', 'name or tenant id')
    .option('--now', 'the key as well, or that of a tenant that is deleted already (by its id); no way back')
    .option('--confirm <name>', 'the name of the tenant again; otherwise it is asked for')
    .option('--json', 'one line of JSON: tenantId, name, certificateId, certificate')
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string, options: Options) => deleteTenant(context, name, options));
  tenant
    .command('certificate')
    .description('show the deletion certificate of a tenant')
    .argument('<id>', 'certificate id or tenant id')
    .option('--json', 'the certificate as JSON')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (id: string, options: CommonOptions) => {
      const certificate = await context
        .connect(options.data)
        .get<DeletionCertificate>(`/api/certificates/${encodeURIComponent(id)}`);
      if (options.json) printJson(context, certificate);
      else print(context, JSON.stringify(certificate.document, undefined, 2), certificate.publicKeyPem.trim());
    });
}

async function deleteTenant(context: CliContext, name: string, options: Options): Promise<void> {
  const client = context.connect(options.data);
  const found = await client.get<Tenant & { url: string }>(`/api/tenants/${encodeURIComponent(name)}`);
  const confirm = options.confirm ?? (await ask(context, found, options));
  if (confirm !== found.name) throw cliErrors.FH_CONFIRMATION_WRONG();
  const body = { confirm, ...(options.now && { now: true }) };
  const { operation } = await act(context, client, found.tenantId, 'delete', body, `Deleting ${found.name}`);
  const { certificateId } = operation.result;
  const { document } = await client.get<DeletionCertificate>(`/api/certificates/${certificateId}`);
  if (options.json) {
    printJson(context, { tenantId: found.tenantId, name: found.name, certificateId, certificate: document });
    return;
  }
  const destroyed = document.destroyed as {
    database: { bytes: number; rows: number };
    files: { count: number; bytes: number };
    key: { destroyed: boolean; dueAt?: string };
  };
  const { dueAt } = destroyed.key;
  print(
    context,
    dueAt ? `Tenant ${found.name} is deleted.` : `Tenant ${found.name} is destroyed.`,
    '',
    formatFacts([
      ['database', `${formatBytes(destroyed.database.bytes)}, ${destroyed.database.rows} rows`],
      ['files', `${destroyed.files.count}, ${formatBytes(destroyed.files.bytes)}`],
      ['key', dueAt ? `kept until ${dueAt}, then destroyed` : 'destroyed'],
      ['certificate', String(certificateId)],
    ]),
    '',
    `Show the certificate with: ./freehold tenant certificate ${certificateId}`,
    ...(dueAt
      ? [
          `Until its key is destroyed it can be brought back: ./freehold restore ${found.name} --before delete`,
          `Destroy the key at once with: ./freehold tenant delete ${found.tenantId} --now`,
        ]
      : []),
  );
}

/** The name is typed by a person who sees what will happen, or stands on the command line; nothing else counts. */
async function ask({ streams }: CliContext, tenant: Tenant & { url: string }, options: Options): Promise<string> {
  if (options.json || !streams.stdin.isTTY) {
    throw new UsageError(
      'deleting a tenant needs its name as confirmation',
      `Repeat the name: ./freehold tenant delete ${tenant.name} --confirm ${tenant.name}${options.now ? ' --now' : ''}`,
    );
  }
  const isDeleted = tenant.state === 'deleted';
  streams.stderr.write(
    isDeleted
      ? `${tenant.name} is deleted already. This destroys its key: nobody can bring it back, from no backup.\n\n`
      : `This deletes ${tenant.name} (${tenant.url}): its database, its files and its exports, at once.\n` +
          (options.now
            ? 'Its key is destroyed as well: nobody can bring it back, from no backup. To keep a copy, stop here and type:\n'
            : 'Its key is kept for the grace period; then nobody can bring it back. To keep a copy, stop here and type:\n') +
          `  ./freehold tenant export ${tenant.name}\n\n`,
  );
  const prompt = createInterface({ input: streams.stdin, output: streams.stderr });
  try {
    return (await prompt.question('Type the name of the tenant to delete it: ')).trim();
  } finally {
    prompt.close();
  }
}
