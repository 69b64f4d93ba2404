import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { followOperation } from './follow.ts';
import { formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts } from './table.ts';

interface Options extends CommonOptions {
  readonly name: string;
  readonly title?: string;
}

export function addTenantImport(tenant: Command, context: CliContext): void {
  tenant
    .command('import')
    .description('make a tenant from an archive')
    .argument('<file>', 'archive that `tenant export` wrote')
    .requiredOption('--name <name>', 'name of the new tenant')
    .option('--title <text>', 'title; default: the one in the archive')
    .option('--json', 'one line of JSON: tenantId, name, url, contentHash')
    .option('--data <folder>', 'data folder of the installation')
    .action((file: string, options: Options) => importTenant(context, file, options));
}

async function importTenant(context: CliContext, file: string, options: Options): Promise<void> {
  const client = context.connect(options.data);
  const path = resolve(file);
  const handle = await open(path, 'r').catch((cause) => {
    throw cliErrors.FH_INPUT_FILE({ detail: `${path} (${cause.code})`, cause });
  });
  const bar = createProgressBar(context.streams, 'Sending the archive');
  let operation: Operation;
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw cliErrors.FH_INPUT_FILE({ detail: `${path} is not a file` });
    const query = new URLSearchParams({ name: options.name, ...(options.title ? { title: options.title } : {}) });
    const content = handle.createReadStream({ autoClose: false });
    let sent = 0;
    content.on('data', (chunk) => {
      sent += chunk.length;
      bar.show(
        sent / found.size,
        sent < found.size ? `${formatBytes(sent)} of ${formatBytes(found.size)}` : 'checking',
      );
    });
    ({ operation } = await client.upload<{ operation: Operation }>(
      `/api/tenants/import?${query}`,
      content,
      found.size,
    ));
  } finally {
    bar.end();
    await handle.close();
  }
  const done = await followOperation(context, client, operation, `Importing ${options.name}`);
  const made = await client.get<Tenant & { url: string }>(`/api/tenants/${operation.tenantId}`);
  const { tenantId, name, url } = made;
  const { contentHash } = done.result;
  if (options.json) return printJson(context, { tenantId, name, url, contentHash });
  print(
    context,
    `Tenant ${name} is ready, with the content of the archive.`,
    '',
    formatFacts([
      ['address', url],
      ['content', String(contentHash)],
      ['tenant id', tenantId],
    ]),
    '',
    'Its users sign in with the passwords they had.',
  );
}
