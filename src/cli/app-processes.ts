import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { AppProcessView } from '#src/console-api/index.ts';
import type { LogPage } from '#src/processes/types.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { formatAge, formatBytes } from './format.ts';
import { formatTable } from './table.ts';
import { act } from './tenant-actions.ts';

const followEveryMs = 1_000;
const longestTail = 2_000;

/** `app status`, `app logs`, `app use`: apps that run as processes. */
export function addAppProcessCommands(app: Command, context: CliContext): void {
  app
    .command('status')
    .description('show the apps of tenants that were started, and how they are')
    .option(
      '--json',
      'one line of JSON: a list of name, app, version, state, idleMs, upMs, failures, memoryBytes, error',
    )
    .option('--data <folder>', 'data folder of the installation')
    .action((options: CommonOptions) => status(context, options));
  app
    .command('logs')
    .description("show what a tenant's app wrote, without its secrets")
    .argument('<tenant>', 'name or tenant id')
    .option('-n, --lines <number>', 'how many of the last lines', parseLines, 100)
    .option('-f, --follow', 'go on with what it writes, until Ctrl-C')
    .option('--json', 'one line of JSON: {"lines":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action((tenant: string, options: LogOptions) => logs(context, tenant, options));
  app
    .command('use')
    .description(
      'give a tenant another version of its app: snapshot, migrations, start, health; taken back with its content when one of them fails',
    )
    .argument('<tenant>', 'name or tenant id')
    .argument('<version>', 'a version that is ready: ./freehold app list')
    .option('--json', 'one line of JSON: tenantId, app, version')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (tenant: string, version: string, options: CommonOptions) => {
      const client = context.connect(options.data);
      const title = `Giving ${tenant} version ${version}`;
      const { tenant: found } = await act(context, client, tenant, 'update', { version }, title);
      const { tenantId, app: appName } = found;
      if (options.json) return printJson(context, { tenantId, app: appName, version });
      print(
        context,
        `${found.name} runs ${appName} ${version}. Releases pass it over until: ./freehold release ring ${found.name} production`,
      );
    });
}

interface LogOptions extends CommonOptions {
  readonly lines: number;
  readonly follow?: boolean;
}

async function status(context: CliContext, options: CommonOptions): Promise<void> {
  const { processes } = await context.connect(options.data).get<{ processes: AppProcessView[] }>('/api/app-processes');
  if (options.json) return printJson(context, processes);
  if (processes.length === 0)
    return print(context, 'No app runs as a process now: none was asked for since the start.');
  const ago = (ms: number | undefined) =>
    ms === undefined ? '' : formatAge(new Date(context.now() - ms).toISOString(), context.now());
  print(
    context,
    formatTable<AppProcessView>(
      [
        { title: 'tenant', value: (row) => row.name },
        { title: 'app', value: (row) => `${row.app} ${row.version ?? ''}`.trim() },
        { title: 'state', value: (row) => row.state },
        { title: 'started', value: (row) => ago(row.upMs) },
        { title: 'last used', value: (row) => ago(row.idleMs) },
        { title: 'memory limit', value: (row) => (row.memoryBytes ? formatBytes(row.memoryBytes) : '') },
        { title: 'failures', value: (row) => (row.failures > 0 ? String(row.failures) : '') },
      ],
      processes,
    ),
  );
}

async function logs(context: CliContext, tenant: string, options: LogOptions): Promise<void> {
  const client = context.connect(options.data);
  const path = `/api/tenants/${encodeURIComponent(tenant)}/app-log`;
  let page = await client.send<LogPage>('POST', `${path}/open`, { lines: options.lines });
  if (options.json) return printJson(context, { lines: page.lines });
  if (page.lines.length === 0) print(context, 'The app has written nothing yet.');
  else print(context, ...page.lines);
  while (options.follow) {
    if (page.lines.length === 0) await delay(followEveryMs);
    page = await client.get<LogPage>(`${path}?after=${page.cursor}`);
    if (page.hasGap) print(context, 'Lines are missing here: the app wrote more than is kept.');
    if (page.lines.length > 0) print(context, ...page.lines);
  }
}

function parseLines(text: string): number {
  const lines = Number(text);
  if (!Number.isInteger(lines) || lines < 1 || lines > longestTail)
    throw new InvalidArgumentError(`Give a number from 1 to ${longestTail}.`);
  return lines;
}
