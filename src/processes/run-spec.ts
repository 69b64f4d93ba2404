import { isDeepStrictEqual } from 'node:util';
import { toFreeholdError } from '#src/kernel/index.ts';
import { inside } from './sandbox.ts';
import type { RunSpec } from './types.ts';

/** Whatever the environment holds that nobody can guess. */
export function secretsOf(spec: RunSpec): string[] {
  return Object.entries(spec.env)
    .filter(
      ([name, value]) =>
        value.length >= 16 && name !== 'PATH' && value !== inside.authorities && !value.includes(spec.host),
    )
    .map(([, value]) => value);
}

/** Whether control has said that the tenant may not run, rather than nothing. */
export function isFinal(error: unknown): boolean {
  return ['FH_TENANT_NOT_ACTIVE', 'FH_TENANT_NOT_FOUND', 'FH_APP_FAILED', 'FH_APP_NOT_FOUND'].includes(
    toFreeholdError(error).code,
  );
}

/** Whether an app that was started by the one would be started just so by the other. `migrate` is a matter of the past. */
export function isSameRun({ migrate: _before, ...one }: RunSpec, { migrate: _after, ...other }: RunSpec): boolean {
  return isDeepStrictEqual(one, other);
}
