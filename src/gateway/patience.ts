import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#src/kernel/index.ts';
import { isClosedForAMoment } from '#src/tenants/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { GatewayDirectory, GatewayLimits } from './types.ts';

/** The directory forgets a route when control says that it has changed; until then this asks nobody. */
const lookEveryMs = 25;

/**
 * Waits for tenants that are closed for a moment, for a copy or another version of their app, so that their users see a slow answer and not an error. Beyond the
 * limits of time and of how many wait, whoever asks goes on with the closed route.
 */
export function createPatience(
  directory: Pick<GatewayDirectory, 'findRoute'>,
  { updateMs, waitingPerTenant }: Pick<GatewayLimits, 'updateMs' | 'waitingPerTenant'>,
  clock: Clock,
) {
  const waiting = new Map<string, { count: number; readonly opened: Promise<TenantRoute | undefined> }>();

  async function look(host: string): Promise<TenantRoute | undefined> {
    const untilMs = clock.monotonicMs() + updateMs;
    for (;;) {
      const route = await directory.findRoute(host);
      if (!route || !isClosedForAMoment(route.state) || clock.monotonicMs() >= untilMs) return route;
      await delay(lookEveryMs);
    }
  }

  /** @returns the route as it is then; undefined: there is none any more */
  return async (route: TenantRoute): Promise<TenantRoute | undefined> => {
    const { host } = route;
    const there = waiting.get(host) ?? { count: 0, opened: look(host) };
    if (there.count >= waitingPerTenant) return route;
    waiting.set(host, there);
    there.count++;
    try {
      return await there.opened;
    } finally {
      if (--there.count === 0) waiting.delete(host);
    }
  };
}
