import type { Operation } from '#src/tenants/index.ts';
import type { CommandClient } from './client.ts';
import type { CliContext } from './context.ts';
import { cliErrors } from './errors.ts';
import { createProgressBar } from './progress.ts';

const stepWords: Readonly<Record<string, string>> = {
  key: 'key',
  database: 'database',
  open: 'access',
  migrations: 'migrations',
  administrator: 'first administrator',
  demo: 'demo data',
  host: 'host name',
  gateways: 'telling the gateways',
  names: 'host names',
  gate: 'closing it for the copy',
  reopen: 'opening the source again',
  snapshot: 'copy to go back to',
  content: 'putting its content back',
  version: 'version',
  start: 'migrations, start and health',
  strip: 'removing sessions and invitations',
  files: 'files',
  archive: 'archive',
  load: 'loading the archive',
  secure: 'new passwords',
  inventory: 'counting what goes',
  sessions: 'ending connections',
  copies: 'last files to a region',
  exports: 'exports',
  certificate: 'certificate',
  recover: 'going back to the moment',
};

/** Waits until an operation is over, with a bar when a person is watching. Throws unless it succeeded. */
export async function followOperation(
  context: CliContext,
  client: CommandClient,
  started: Operation,
  title: string,
): Promise<Operation> {
  const bar = createProgressBar(context.streams, title);
  let latest = started;
  try {
    for await (const operation of client.watch(started.operationId)) {
      latest = operation;
      const done = operation.steps.filter((step) => step.state === 'done').length;
      const current = operation.steps.find((step) => step.state === 'running');
      const within = operation.progress?.fraction ?? 0;
      const text = operation.undoing
        ? 'taking it back'
        : (operation.progress?.text ?? stepWords[current?.name ?? ''] ?? '');
      bar.show((done + within) / operation.steps.length, text);
    }
  } finally {
    bar.end();
  }
  if (latest.state === 'succeeded') return latest;
  if (latest.state === 'running') throw cliErrors.FH_COMMAND_INTERRUPTED();
  const { operationId, error, kind } = latest;
  throw cliErrors.FH_OPERATION_FAILED({
    detail: `${error?.text ?? kind}${error ? ` (${error.code})` : ''}`,
    hint:
      latest.state === 'undone'
        ? 'Everything it had begun was taken back.'
        : latest.undoing
          ? `What it did could not be taken back yet; that is tried again by itself. At once: ./freehold operation cancel ${operationId}`
          : `What it did is kept. Try it again with: ./freehold operation retry ${operationId}`,
  });
}
