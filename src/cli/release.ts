import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ReleaseView } from '#src/console-api/index.ts';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { formatAge, plain } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatTable } from './table.ts';

const askEveryMs = 500;
const ringNames = ['alpha', 'beta', 'production'] as const;

interface StartOptions extends CommonOptions {
  readonly soak: number;
  readonly maxFailed: number;
  readonly manual?: boolean;
  readonly rehearsal: boolean;
  readonly contract?: boolean;
  readonly onHalt: 'return' | 'keep';
  readonly wait?: boolean;
}

const common = (command: Command): Command =>
  command
    .option('--json', 'one line of JSON: release with counts, tenants that something went wrong with')
    .option('--data <folder>', 'data folder of the installation');

/** `release`: a version of an app on its way through the rings. */
export function addReleaseCommands(program: Command, context: CliContext): void {
  const release = program
    .command('release')
    .description('bring a version of an app to its tenants, ring by ring: alpha, beta, production');

  common(
    release
      .command('start')
      .description('begin; every tenant gets a snapshot, its migrations, its start, and is asked for its health')
      .argument('<app>', 'name of the app')
      .argument('<version>', 'a version that is ready: ./freehold app list')
      .option('--soak <minutes>', 'how long a ring is watched before the next one begins', parseMinutes, 15)
      .option('--max-failed <percent>', 'halt when more than so many of a ring have failed', parsePercent, 10)
      .option('--no-rehearsal', 'do not try it on a copy of one tenant first')
      .option('--contract', 'it removes what the version before does not need any more')
      .option('--manual', 'each ring waits for: ./freehold release promote APP')
      .addOption(
        new Option('--on-halt <how>', 'take it back from everybody by itself, or leave that to you')
          .choices(['return', 'keep'])
          .default('return'),
      )
      .option('--wait', 'show its progress until it is through, taken back, or waits for somebody'),
  ).action(async (app: string, version: string, options: StartOptions) => {
    const client = context.connect(options.data);
    const body = {
      app,
      version,
      soakSeconds: Math.round(options.soak * 60),
      maxFailedPercent: options.maxFailed,
      isManual: options.manual === true,
      isRehearsed: options.rehearsal,
      mayContract: options.contract === true,
      onHalt: options.onHalt,
    };
    const started = await client.send<ReleaseView>('POST', '/api/releases', body);
    show(context, options, options.wait ? await follow(context, client, app) : started);
  });

  common(
    release
      .command('status')
      .description('how far the newest release of an app is')
      .argument('<app>', 'name of the app')
      .option('-f, --follow', 'show its progress until it is through, taken back, or waits for somebody'),
  ).action(async (app: string, options: CommonOptions & { follow?: boolean }) => {
    const client = context.connect(options.data);
    show(context, options, options.follow ? await follow(context, client, app) : await get(client, app));
  });

  for (const [verb, description] of Object.entries({
    promote: 'go on with the next ring now',
    pause: 'begin no further tenant; who is under way is finished',
    resume: 'go on with a release that was paused, or halted by a gate',
    return:
      'take the version back from every tenant that it has reached; with their content, where nobody has written since',
  }))
    common(release.command(verb).description(description).argument('<app>', 'name of the app')).action(
      async (app: string, options: CommonOptions) => {
        const path = `/api/releases/${encodeURIComponent(app)}/${verb}`;
        show(context, options, await context.connect(options.data).send<ReleaseView>('POST', path, {}));
      },
    );

  release
    .command('list')
    .description('show releases, the newest first')
    .argument('[app]', 'only of this app')
    .option('--json', 'one line of JSON: {"releases":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (app: string | undefined, options: CommonOptions) => {
      const query = app === undefined ? '' : `?app=${encodeURIComponent(app)}`;
      const { releases } = await context
        .connect(options.data)
        .get<{ releases: ReleaseView['release'][] }>(`/api/releases${query}`);
      if (options.json) return printJson(context, { releases });
      if (releases.length === 0)
        return print(context, 'No release yet. Begin one with: ./freehold release start APP VERSION');
      print(
        context,
        formatTable(
          [
            { title: 'app', value: (row) => row.app },
            { title: 'version', value: (row) => row.version },
            { title: 'state', value: (row) => row.state },
            { title: 'ring', value: (row) => row.ring },
            { title: 'begun', value: (row) => formatAge(String(row.startedAt), context.now()) },
            { title: 'reason', value: (row) => plain(row.reason ?? '') },
          ],
          releases,
        ),
      );
    });

  release
    .command('ring')
    .description('choose the ring of a tenant; it follows releases again if a person had given it a version')
    .argument('<tenant>', 'name or tenant id')
    .argument('<ring>', 'alpha, beta or production', parseRing)
    .option('--data <folder>', 'data folder of the installation')
    .action(async (tenant: string, ring: string, options: CommonOptions) => {
      await context.connect(options.data).send('POST', `/api/tenants/${encodeURIComponent(tenant)}/ring`, { ring });
      print(context, `Tenant ${tenant} gets releases with ${ring}.`);
    });
}

const get = (client: CommandClient, app: string) => client.get<ReleaseView>(`/api/releases/${encodeURIComponent(app)}`);

async function follow(context: CliContext, client: CommandClient, app: string): Promise<ReleaseView> {
  const bar = createProgressBar(context.streams, `Releasing ${app}`);
  try {
    for (;;) {
      const view = await get(client, app);
      const { state, ring, soaksSince, settings } = view.release;
      if (state !== 'checking' && state !== 'running' && state !== 'returning') return view;
      const { settled, total } = countOf(view.release);
      if (soaksSince && settings.isManual) return view;
      const what =
        state === 'checking'
          ? 'trying it on a copy'
          : state === 'returning'
            ? 'taking it back'
            : soaksSince
              ? `watching ${ring}`
              : ring;
      bar.show(settled / Math.max(1, total), `${what}, ${settled} of ${total} so far`);
      await delay(askEveryMs);
    }
  } finally {
    bar.end();
  }
}

function countOf({ counts }: ReleaseView['release']) {
  let [settled, total] = [0, 0];
  for (const ring of Object.values(counts))
    for (const [state, count] of Object.entries(ring)) {
      total += count;
      if (!['waiting', 'running', 'returning'].includes(state)) settled += count;
    }
  return { settled, total };
}

function show(context: CliContext, options: CommonOptions, view: ReleaseView): void {
  const { release, tenants } = view;
  if (release.state === 'halted' || release.state === 'returned') process.exitCode = 1;
  if (options.json) {
    printJson(context, view);
    return;
  }
  const { app, version, ring, state, reason, soaksSince, settings } = release;
  const title = `${app} ${version}`;
  const words = {
    checking: `${title} is being tried on a copy of a tenant.`,
    running: soaksSince
      ? `${title} is in ${ring}, which is watched${settings.isManual ? '. Go on with: ' : `; at once with: `}./freehold release promote ${app}`
      : `${title} is being brought to ${ring}.`,
    paused: `${title} is paused in ${ring}. Go on with: ./freehold release resume ${app}`,
    halted: `${title} was halted: ${reason}. Take it back with: ./freehold release return ${app}`,
    returning: `${title} is being taken back: ${reason}.`,
    returned: `${title} was taken back: ${reason}.`,
    done: `${title} has been through all rings.`,
  };
  print(
    context,
    words[state],
    '',
    formatTable(
      [
        { title: 'ring', value: (row) => row.name },
        ...(['waiting', 'running', 'done', 'failed', 'skipped', 'returned'] as const).map((each) => ({
          title: each,
          value: (row: { counts: Readonly<Record<string, number>> }) => String(row.counts[each] ?? 0),
          align: 'right' as const,
        })),
      ],
      ringNames.map((name) => ({ name, counts: release.counts[name] as Readonly<Record<string, number>> })),
    ),
  );
  if (tenants.length === 0) return;
  print(
    context,
    '',
    formatTable(
      [
        { title: 'tenant', value: (row) => row.name },
        { title: 'ring', value: (row) => row.ring },
        { title: 'state', value: (row) => row.state },
        {
          title: 'content',
          value: (row) => (row.isDataBack === undefined ? '' : row.isDataBack ? 'as before' : 'as it is'),
        },
        { title: 'why', value: (row) => plain(row.error?.text.split('\n', 1)[0] ?? '').slice(0, 120) },
      ],
      tenants,
    ),
  );
}

function parseMinutes(value: string): number {
  const minutes = Number(value);
  if (!(minutes >= 0 && minutes <= 43_200)) throw new InvalidArgumentError('Write minutes, 0 to 43200.');
  return minutes;
}

function parsePercent(value: string): number {
  if (!/^\d{1,3}$/.test(value) || Number(value) > 100) throw new InvalidArgumentError('Write a percentage, 0 to 100.');
  return Number(value);
}

function parseRing(value: string): string {
  if (!(ringNames as readonly string[]).includes(value))
    throw new InvalidArgumentError('Write alpha, beta or production.');
  return value;
}
