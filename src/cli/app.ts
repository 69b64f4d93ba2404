import type { Command } from 'commander';
import type { AppVersionView } from '#src/console-api/index.ts';
import { checkFolder } from '#src/releases/index.ts';
import { addAppAdd } from './app-add.ts';
import { addAppProcessCommands } from './app-processes.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatAge, formatBytes } from './format.ts';
import { formatFacts, formatTable } from './table.ts';

/** `app`: apps of your own, which run as processes. docs/hosting-an-app.md */
export function addAppCommands(program: Command, context: CliContext): void {
  const app = program.command('app').description('apps of your own: check, add, show, run, remove');
  addAppCheck(app, context);
  addAppAdd(app, context);
  addAppList(app, context);
  addAppShow(app, context);
  addAppRemove(app, context);
  addAppProcessCommands(app, context);
}

function addAppCheck(app: Command, context: CliContext): void {
  app
    .command('check')
    .description('say everything that keeps a folder from being added; needs no running installation')
    .argument('<folder>', 'folder with freehold.app.json')
    .option('--json', 'one line of JSON: app, version, files, sizeBytes')
    .action(async (folder: string, options: CommonOptions) => {
      const { manifest, problems, entries, contentBytes: sizeBytes } = await checkFolder(folder);
      if (!manifest) throw cliErrors.FH_APP_CHECK_FAILED({ detail: problems.join('\n') });
      const files = entries.filter(({ kind }) => kind === 'file').length;
      const { name, version } = manifest;
      if (options.json) return printJson(context, { app: name, version, files, sizeBytes });
      print(
        context,
        `${name} ${version} can be added: ${files} files, ${formatBytes(sizeBytes)}.`,
        '',
        `Add it with: ./freehold app add ${folder}`,
      );
    });
}

function addAppList(app: Command, context: CliContext): void {
  app
    .command('list')
    .description('show apps and their versions, the newest first')
    .option('--json', 'JSON: {"versions":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: CommonOptions) => {
      const found = await context.connect(options.data).get<{ versions: AppVersionView[] }>('/api/apps');
      if (options.json) return printJson(context, found);
      if (found.versions.length === 0)
        return print(context, 'No app was added yet.', 'Add one with: ./freehold app add FOLDER');
      print(context, table(context, found.versions));
    });
}

function table(context: CliContext, versions: readonly AppVersionView[]): string {
  const now = context.now();
  return formatTable<AppVersionView>(
    [
      { title: 'app', value: (row) => row.app },
      { title: 'version', value: (row) => row.version },
      { title: 'state', value: (row) => row.state },
      { title: 'tenants', value: (row) => String(row.tenants), align: 'right' },
      { title: 'added', value: (row) => formatAge(row.addedAt, now) },
      { title: 'by', value: (row) => row.addedBy },
      { title: 'notes', value: (row) => row.notes.split('\n')[0]!.slice(0, 60) },
    ],
    versions,
  );
}

function addAppShow(app: Command, context: CliContext): void {
  app
    .command('show')
    .description('show one app: what its newest version needs, and its versions')
    .argument('<name>', 'name of the app')
    .option('--json', 'JSON: {"versions":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (name: string, options: CommonOptions) => {
      const path = `/api/apps/${encodeURIComponent(name)}`;
      const found = await context.connect(options.data).get<{ versions: AppVersionView[] }>(path);
      if (options.json) return printJson(context, found);
      const newest = found.versions[0]!;
      const { manifest } = newest;
      const { limits } = manifest;
      const failed = found.versions.find(({ state }) => state === 'failed');
      print(
        context,
        formatFacts([
          ['app', name],
          ['title', manifest.title],
          ['newest', `${newest.version}, ${newest.state}`],
          ['identity', manifest.identity.kind],
          ['memory', `${limits.memoryMb} MiB`],
          ['cores', String(limits.cpus)],
          ['connections', String(limits.connections)],
          ['sleeps', manifest.idleMinutes === 0 ? 'never' : `after ${manifest.idleMinutes} minutes`],
          ['content', newest.digest],
        ]),
        '',
        table(context, found.versions),
        ...(failed?.error ? ['', `${failed.version} failed:`, ...indent(failed.error)] : []),
      );
    });
}

function indent(text: string): string[] {
  return text.split('\n').map((line) => `  ${line.replace(/\p{Cc}/gu, ' ')}`);
}

function addAppRemove(app: Command, context: CliContext): void {
  app
    .command('remove')
    .description('remove a version that no tenant runs')
    .argument('<name>', 'name of the app')
    .argument('<version>', 'the version')
    .option('--json', 'one line of JSON: app, version')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (name: string, version: string, options: CommonOptions) => {
      const path = `/api/apps/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
      await context.connect(options.data).send('DELETE', path);
      if (options.json) return printJson(context, { app: name, version });
      print(context, `${name} ${version} is removed.`);
    });
}
