import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts } from './table.ts';
import { act } from './tenant-actions.ts';

export function addTenantExport(tenant: Command, context: CliContext): void {
  tenant
    .command('export')
    .description("write a tenant's data into one archive that plain tools open")
    .argument('<name>', 'name or tenant id')
    .option('--to <file>', 'where to write it; default: NAME-DATE.tar in this folder')
    .option('--json', 'one line of JSON: file, sizeBytes, sha256, contentHash')
    .option('--data <folder>', 'data folder of the installation')
    .action((name: string, options: CommonOptions & { to?: string }) => exportTenant(context, name, options));
}

async function exportTenant(
  context: CliContext,
  name: string,
  options: CommonOptions & { to?: string },
): Promise<void> {
  const client = context.connect(options.data);
  // Refused before the work, not after it.
  if (options.to) checkTarget(resolve(options.to));
  const { operation, tenant } = await act(context, client, name, 'export', {}, `Exporting ${name}`);
  const { operationId, result } = operation;
  const day = new Date(context.now()).toISOString().slice(0, 10);
  const file = resolve(options.to ?? `${tenant.name}-${day}.tar`);
  checkTarget(file);
  const sizeBytes = Number(result.sizeBytes);
  await download(context, client, `/api/exports/${operationId}/download`, file, sizeBytes, String(result.sha256));
  // The archive lies in plain: no second copy is left behind.
  await client.send('DELETE', `/api/exports/${operationId}`);
  const { sha256, contentHash } = result;
  if (options.json) return printJson(context, { file, sizeBytes, sha256, contentHash });
  print(
    context,
    `Tenant ${tenant.name} is exported.`,
    '',
    formatFacts([
      ['archive', file],
      ['size', formatBytes(sizeBytes)],
      ['sha-256', String(sha256)],
      ['content', String(contentHash)],
    ]),
    '',
    'The archive is not encrypted: keep it where only its owner can read it.',
    `Load it on another installation with: ./freehold tenant import ${file} --name ${tenant.name}`,
  );
}

function checkTarget(file: string): void {
  if (existsSync(file)) {
    throw cliErrors.FH_OUTPUT_FILE({ detail: `${file} is there already`, hint: 'Name another one with --to FILE.' });
  }
  if (!existsSync(dirname(file))) {
    throw cliErrors.FH_OUTPUT_FILE({ detail: `there is no folder ${dirname(file)}`, hint: 'Make it first.' });
  }
}

/** Written under another name, checked, then renamed: the file is whole or not there. */
async function download(
  context: CliContext,
  client: CommandClient,
  path: string,
  file: string,
  sizeBytes: number,
  sha256: string,
): Promise<void> {
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w', 0o600).catch((cause) => {
    throw cliErrors.FH_OUTPUT_FILE({ detail: `${partial} (${cause.code})`, cause });
  });
  const bar = createProgressBar(context.streams, 'Writing the archive');
  try {
    const hash = createHash('sha256');
    let done = 0;
    for await (const chunk of await client.download(path)) {
      hash.update(chunk);
      await handle.writeFile(chunk);
      done += chunk.length;
      bar.show(done / sizeBytes, `${formatBytes(done)} of ${formatBytes(sizeBytes)}`);
    }
    if (hash.digest('hex') !== sha256) throw cliErrors.FH_DOWNLOAD_DAMAGED();
    await handle.sync();
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    bar.end();
    await handle.close();
  }
}
