import type { AppLog } from './app-log.ts';
import { describeEnd } from './door-link.ts';
import { processErrors } from './errors.ts';
import { requestOf, type StartDeps } from './instance.ts';
import { runTask } from './tasks.ts';
import type { RunSpec } from './types.ts';

/** Whoever needs longer does it in steps, or beside the app. */
const longestMigrationMs = 15 * 60_000;

/** Runs the `migrate` command of a version to its end. FH_APP_FAILED with its last words unless that is 0. */
export async function runMigration(
  spec: RunSpec,
  command: readonly string[],
  { launcher, log, signal }: Pick<StartDeps, 'launcher' | 'signal'> & { readonly log: AppLog },
): Promise<void> {
  log.note(`migrating to version ${spec.version}`);
  const migration = { command, env: spec.env, connections: spec.limits.connections };
  const ended = await runTask(requestOf(spec, 'migrate'), migration, launcher, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(longestMigrationMs)]),
    onOutput: (chunk) => log.write(chunk),
  }).catch((cause) => {
    throw processErrors.FH_APP_FAILED({ detail: 'migrate could not be started', cause });
  });
  await log.flush();
  if (ended.code !== 0)
    throw processErrors.FH_APP_FAILED({ detail: `migrate: ${describeEnd(ended)}\n${log.tail(20).join('\n')}` });
}
