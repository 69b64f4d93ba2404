import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AppVersionView } from '#src/console-api/index.ts';
import { checkFolder, packFolder } from '#src/releases/index.ts';
import type { CommandClient } from './client.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { cliErrors } from './errors.ts';
import { formatBytes } from './format.ts';
import { createProgressBar } from './progress.ts';
import { formatFacts } from './table.ts';

interface Options extends CommonOptions {
  readonly notes: string;
}

const askEveryMs = 250;

/** `app add`: packs a folder, sends it, and waits until it is built. */
export function addAppAdd(app: Command, context: CliContext): void {
  app
    .command('add')
    .description('add a version of an app from a folder, and build it')
    .argument('<folder>', 'folder with freehold.app.json')
    .option('--notes <text>', 'what is new in this version', '')
    .option('--json', 'one line of JSON: app, version, digest, state')
    .option('--data <folder>', 'data folder of the installation')
    .action((folder: string, options: Options) => add(context, folder, options));
}

async function add(context: CliContext, folder: string, options: Options): Promise<void> {
  const client = context.connect(options.data);
  const { manifest, problems, entries, contentBytes } = await checkFolder(folder);
  if (!manifest) throw cliErrors.FH_APP_CHECK_FAILED({ detail: problems.join('\n') });
  const bar = createProgressBar(context.streams, `Sending ${manifest.name} ${manifest.version}`);
  let version: AppVersionView;
  try {
    const content = packFolder(folder, entries, (sent) =>
      bar.show(sent / Math.max(1, contentBytes), `${formatBytes(sent)} of ${formatBytes(contentBytes)}`),
    );
    const path = `/api/apps?${new URLSearchParams({ notes: options.notes })}`;
    ({ version } = await client.upload<{ version: AppVersionView }>(path, content, undefined));
  } finally {
    bar.end();
  }
  const { app, version: name, digest, state, error } = await waitForBuild(context, client, version);
  if (state === 'failed')
    throw cliErrors.FH_APP_BUILD_FAILED({
      detail: error,
      hint: `Mend it, then add it again. What it said is kept: ./freehold app show ${app}`,
    });
  if (options.json) return printJson(context, { app, version: name, digest, state });
  print(
    context,
    `${app} ${name} is ready.`,
    '',
    formatFacts([['content', digest]]),
    '',
    `Make a tenant of it: ./freehold tenant create NAME --app ${app} --admin-email ADDRESS`,
  );
}

async function waitForBuild(context: CliContext, client: CommandClient, sent: AppVersionView): Promise<AppVersionView> {
  const bar = createProgressBar(context.streams, `Building ${sent.app} ${sent.version}`);
  const path = `/api/apps/${encodeURIComponent(sent.app)}/versions/${encodeURIComponent(sent.version)}`;
  const startedAt = context.now();
  try {
    let version = sent;
    while (version.state === 'building') {
      bar.show(0, `${Math.round((context.now() - startedAt) / 1_000)} s`);
      await delay(askEveryMs);
      ({ version } = await client.get<{ version: AppVersionView }>(path));
    }
    return version;
  } finally {
    bar.end();
  }
}
