import type { RouteResult } from '#sdk';
import type { Confirmation } from './confirmation.ts';

type Outcome = { readonly result: RouteResult } | { readonly error: unknown };

/**
 * Runs a handler whose session is presumed. What it returns or throws is heard only after the check has confirmed the session; a refusal is
 * heard at once, whatever the handler is doing, and what the handler still returns is thrown away.
 */
export async function resultOfPresumed(
  confirmation: Confirmation,
  run: () => Promise<RouteResult>,
): Promise<RouteResult> {
  let running: Promise<RouteResult> | undefined;
  let outcome: Outcome;
  try {
    const result = await new Promise<RouteResult>((resolve, reject) => {
      confirmation.onRefused(reject);
      running = run();
      running.then(resolve, reject);
      // It does not begin with a read: the check does not wait for it.
      if (!confirmation.isAsked) confirmation.confirm().catch(() => {});
    });
    outcome = { result };
  } catch (error) {
    outcome = { error };
  }
  try {
    await confirmation.confirm();
  } catch (error) {
    running?.then(discard, () => {});
    throw error;
  }
  if ('error' in outcome) throw outcome.error;
  return outcome.result;
}

function discard(result: RouteResult | undefined): void {
  if (result && 'file' in result) result.content.destroy();
}
