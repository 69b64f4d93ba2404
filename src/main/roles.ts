import { toFreeholdError } from '#src/kernel/index.ts';
import { toStorageError } from '#src/objects/index.ts';
import type { ChildMessage } from './child.ts';
import type { Env } from './config.ts';

/** Whole servers are loaded only by who becomes one: a command that asks a question answers in a quarter of the time. */
export async function runRole(role: string, env: Env): Promise<void> {
  if (role === 'control') return (await import('./control.ts')).runControl(env);
  if (role === 'gateway') return (await import('./gateway.ts')).runGateway(env);
  if (role === 'shipper') return (await import('./shipper.ts')).runShipper(env);
  if (role === 'apps') return (await import('./apps-keeper.ts')).runAppsKeeper(env);
  if (role === 'shipped-wal' && process.channel) return (await import('./shipped-wal.ts')).runShippedWal(env);
  throw new TypeError(`there is no role ${role}; use control, gateway, shipper or apps`);
}

/** A child of the supervisor: what keeps it from starting goes up the channel, in words. */
export async function runChild(role: string | undefined, env: Env): Promise<number> {
  try {
    await runRole(role ?? '', env);
    return 0;
  } catch (error) {
    const { code, message, hint } = toFreeholdError(toStorageError(error));
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.send?.({ type: 'failed', code, text: message, hint } satisfies ChildMessage);
    process.exit(1);
  }
}
