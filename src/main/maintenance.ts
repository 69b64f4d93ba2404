import { setTimeout as delay } from 'node:timers/promises';
import { createPruning } from '#src/identity/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { ControlServices } from './control-services.ts';
import type { Shutdown } from './shutdown.ts';

const everyMs = 6 * 60 * 60_000;
const exportAgeMs = 24 * 60 * 60_000;

/**
 * What is tidied now and then: exports nobody fetched, stored content that no row refers to any more, and challenges, links, notices and sessions of tenants' people that are over.
 * First soon after the start.
 */
export function startMaintenance({
  services,
  log,
  shutdown,
}: {
  services: ControlServices;
  log: Log;
  shutdown: Shutdown;
}): void {
  const { lifecycle, portability, vault, databases } = services;
  const pruning = createPruning(databases);
  const stopping = new AbortController();
  const { signal } = stopping;

  async function run(): Promise<void> {
    const running = await lifecycle.listOperations({ states: ['running'], limit: 500 });
    await portability.sweep(
      exportAgeMs,
      running.map((operation) => operation.operationId),
    );
    for (let offset = 0; !signal.aborted; offset += 100) {
      const { tenants } = await lifecycle.listTenants({ states: ['active'], limit: 100, offset });
      for (const { tenantId } of tenants) {
        if (signal.aborted) return;
        // One tenant that cannot be looked at just now must not keep the others' bytes lying around.
        await vault
          .sweep(tenantId)
          .catch((error) => log.warn('files of a tenant were not tidied', { tenantId, error }));
        await pruning
          .pruneOneTimeRows(tenantId, signal)
          .catch((error) => log.warn('what is over was not removed from a tenant', { tenantId, error }));
      }
      if (tenants.length < 100) return;
    }
  }

  const loop = (async () => {
    for (let pauseMs = 60_000; !signal.aborted; pauseMs = everyMs) {
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      await run().catch((error) => log.warn('tidying failed; it is tried again later', { error }));
    }
  })();
  shutdown.add('maintenance', 5_000, async () => {
    stopping.abort();
    await loop;
  });
}
