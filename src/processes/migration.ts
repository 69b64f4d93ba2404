import type { AppLog } from './app-log.ts';
import { describeEnd } from './door-link.ts';
import { processErrors } from './errors.ts';
import { providerDoorOf, requestOf, type StartDeps } from './instance.ts';
import { runTask } from './tasks.ts';
import type { RunSpec } from './types.ts';

/** Whoever needs longer does it in steps, or beside the app. */
const longestMigrationMs = 15 * 60_000;

/** Runs the `migrate` command of a version to its end. FH_APP_FAILED with its last words unless that is 0. */
export async function runMigration(
  spec: RunSpec,
  command: readonly string[],
  deps: Pick<StartDeps, 'launcher' | 'signal' | 'openBackChannel'> & { readonly log: AppLog },
): Promise<void> {
  const { launcher, log, signal } = deps;
  log.note(`migrating to version ${spec.version}`);
  const { env, limits, issuer } = spec;
  const migration = { command, env, connections: limits.connections, ...(issuer && { issuerPort: issuer.port }) };
  const streams = {
    signal: AbortSignal.any([signal, AbortSignal.timeout(longestMigrationMs)]),
    onOutput: (chunk: Buffer) => log.write(chunk),
  };
  const door = providerDoorOf(spec, deps);
  const ended = await runTask(requestOf(spec, 'migrate'), migration, launcher, streams, door).catch((cause) => {
    throw processErrors.FH_APP_FAILED({ detail: 'migrate could not be started', cause });
  });
  await log.flush();
  if (ended.code !== 0)
    throw processErrors.FH_APP_FAILED({ detail: `migrate: ${describeEnd(ended)}\n${log.tail(20).join('\n')}` });
}
