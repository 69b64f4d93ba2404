import { Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import type { PluginView } from '#src/console-api/index.ts';
import type { PluginEnd } from '#src/plugins/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatAge } from './format.ts';
import { formatFacts, formatTable } from './table.ts';

const longestTail = 2_000;

/** `plugin`: custom code of one tenant of the Private Cloud edition. docs/plugins.md */
export function addPluginCommands(program: Command, context: CliContext): void {
  const plugin = program
    .command('plugin')
    .description('custom plugins of a tenant (Private Cloud edition): add, list, run, log');
  const command = (name: string, description: string, json: string) =>
    plugin
      .command(name)
      .description(description)
      .argument('<tenant>', 'name or id of the tenant')
      .option('--json', json)
      .option('--data <folder>', 'data folder of the installation');
  command('add', 'add a plugin, or another version of it', 'JSON: {"plugin":{…}}')
    .argument('<folder>', 'folder with freehold.plugin.json, or a .tgz of one')
    .action((tenant: string, folder: string, options: CommonOptions) => add(context, tenant, folder, options));
  command('list', 'show the plugins of a tenant', 'JSON: {"plugins":[…]}').action(
    (tenant: string, options: CommonOptions) => list(context, tenant, options),
  );
  command('remove', 'remove a plugin and what it has kept', 'JSON: {"removed":"NAME"}')
    .argument('<name>', 'name of the plugin')
    .option('--keep-state', 'leave what it has kept, for when it is added again')
    .action(async (tenant: string, name: string, options: CommonOptions & { keepState?: boolean }) => {
      const query = options.keepState ? '?keepState=true' : '';
      await context.connect(options.data).send('DELETE', `${pathOf(tenant)}/${encodeURIComponent(name)}${query}`);
      if (options.json) return printJson(context, { removed: name });
      print(context, `${name} is removed.`);
    });
  for (const state of ['enabled', 'disabled'] as const) {
    const verb = state === 'enabled' ? 'enable' : 'disable';
    command(verb, state === 'enabled' ? 'let a plugin run again' : 'let a plugin run no more', 'JSON: {"plugin":{…}}')
      .argument('<name>', 'name of the plugin')
      .action(async (tenant: string, name: string, options: CommonOptions) => {
        const path = `${pathOf(tenant)}/${encodeURIComponent(name)}/state`;
        const answer = await context.connect(options.data).send<{ plugin: PluginView }>('POST', path, { state });
        if (options.json) return printJson(context, answer);
        print(context, `${name} is ${answer.plugin.state}.`);
      });
  }
  command('run', 'run a plugin once, now', 'JSON: outcome, reason, durationMs, result')
    .argument('<name>', 'name of the plugin')
    .option('--payload <json>', 'given to the plugin as input.payload')
    .action((tenant: string, name: string, options: CommonOptions & { payload?: string }) =>
      run(context, tenant, name, options),
    );
  command('log', "show what a tenant's plugins wrote", 'JSON: {"lines":[…]}')
    .option('-n, --lines <number>', 'how many lines', parseLines, 100)
    .action(async (tenant: string, options: CommonOptions & { lines: number }) => {
      const path = `/api/tenants/${encodeURIComponent(tenant)}/plugin-log`;
      const answer = await context
        .connect(options.data)
        .send<{ lines: string[] }>('POST', path, { lines: options.lines });
      if (options.json) return printJson(context, answer);
      if (answer.lines.length === 0) return print(context, 'No plugin has written anything yet.');
      print(context, ...answer.lines);
    });
}

async function add(context: CliContext, tenant: string, folder: string, options: CommonOptions): Promise<void> {
  const client = context.connect(options.data);
  // Only this command needs it.
  const { parsePluginPackage, readPluginSource } = await import('#src/plugins/index.ts');
  // Judged here as well: what is wrong is said before anything is sent.
  const { content } = await parsePluginPackage(await readPluginSource(folder));
  const answer = await client.upload<{ plugin: PluginView }>(pathOf(tenant), Readable.from([content]), content.length);
  if (options.json) return printJson(context, answer);
  const { plugin } = answer;
  print(
    context,
    `${plugin.name} ${plugin.version} is added and enabled.`,
    '',
    formatFacts([
      ['content', plugin.digest],
      ['API', plugin.capabilities.api ?? 'no access'],
      ['events', plugin.capabilities.events.join(', ') || 'none'],
      ['schedule', plugin.capabilities.schedule ? `${plugin.capabilities.schedule} (UTC)` : 'none'],
      ['outgoing', plugin.capabilities.outgoing.join(', ') || 'none'],
      ['limits', `${plugin.limits.memoryMb} MiB, ${plugin.limits.timeoutSeconds} s`],
    ]),
    '',
    `Try it: ./freehold plugin run ${tenant} ${plugin.name}`,
  );
}

async function list(context: CliContext, tenant: string, options: CommonOptions): Promise<void> {
  const answer = await context.connect(options.data).get<{ plugins: PluginView[] }>(pathOf(tenant));
  if (options.json) return printJson(context, answer);
  if (answer.plugins.length === 0)
    return print(context, 'This tenant has no plugins.', `Add one with: ./freehold plugin add ${tenant} FOLDER`);
  const now = context.now();
  const { plugins } = answer;
  const stopped = plugins.some(({ state }) => state === 'stopped');
  print(
    context,
    formatTable<PluginView>(
      [
        { title: 'plugin', value: (row) => row.name },
        { title: 'version', value: (row) => row.version },
        { title: 'state', value: (row) => row.state },
        { title: 'schedule', value: (row) => row.capabilities.schedule ?? '' },
        { title: 'last run', value: (row) => (row.last ? formatAge(row.last.at, now) : 'never') },
        { title: 'outcome', value: (row) => row.last?.outcome ?? '' },
        { title: 'failures', value: (row) => (row.failures > 0 ? String(row.failures) : ''), align: 'right' },
        { title: 'reason', value: (row) => (row.last?.reason ?? '').slice(0, 80) },
      ],
      plugins,
    ),
    ...(stopped ? ['', 'Stopped: the tenant has the Standard edition, in which no plugin runs.'] : []),
  );
}

async function run(
  context: CliContext,
  tenant: string,
  name: string,
  options: CommonOptions & { payload?: string },
): Promise<void> {
  const { payload } = options;
  const end = await context
    .connect(options.data)
    .send<PluginEnd>(
      'POST',
      `${pathOf(tenant)}/${encodeURIComponent(name)}/run`,
      payload === undefined ? {} : { payload },
    );
  if (end.outcome === 'failed')
    throw cliErrors.FH_PLUGIN_RUN_FAILED({
      detail: end.reason,
      hint: `What it wrote: ./freehold plugin log ${tenant}`,
    });
  if (options.json) return printJson(context, end);
  print(context, `${name} succeeded in ${end.durationMs} ms.`);
  if (end.result !== undefined && end.result !== null) print(context, JSON.stringify(end.result, null, 2));
}

function pathOf(tenant: string): string {
  return `/api/tenants/${encodeURIComponent(tenant)}/plugins`;
}

function parseLines(text: string): number {
  const lines = Number(text);
  if (!Number.isInteger(lines) || lines < 1 || lines > longestTail)
    throw new InvalidArgumentError(`Give a number from 1 to ${longestTail}.`);
  return lines;
}
