import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { measureStandbyLag, type PairStatus } from '#src/clusters/index.ts';
import type { StandbyHealth } from '#src/console-api/index.ts';
import type { Clock } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { Folders } from './folders.ts';
import type { Shutdown } from './shutdown.ts';

/** What the supervisor says of the standby, and how far behind the primary says it is. undefined: the server is not ours. */
export async function measureStandby(
  db: Queryable,
  folders: Folders,
  clock: Clock,
): Promise<StandbyHealth | undefined> {
  const status = readPairStatus(folders);
  if (!status) return undefined;
  const { state, since, reason } = status.standby;
  const facts = {
    state,
    since,
    primary: status.primary,
    lastFailover: status.lastFailover,
    ...(reason ? { reason } : {}),
  };
  if (state === 'off') return facts;
  // A primary that does not answer knows nothing of its standby.
  const lag = await measureStandbyLag(db).catch(() => undefined);
  if (!lag) return facts;
  return { ...facts, lagBytes: lag.lagBytes, lagMs: lag.lagMs ?? Math.max(0, clock.now() - Date.parse(since)) };
}

/** What a failover cost, to end a sentence with. */
export function describeLoss({ lostBytes, shipped }: NonNullable<StandbyHealth['lastFailover']>): string {
  if (lostBytes !== undefined) return `lost ${lostBytes} bytes of log`;
  return shipped?.isComplete
    ? 'lost what was not shipped yet, about a second, and nothing of tenants with recovery point zero'
    : 'lost an unknown number of bytes of log';
}

/** Socket folder of the standby that follows the primary now; undefined: there is none. */
export function findStandbySocket(folders: Folders): string | undefined {
  const status = readPairStatus(folders);
  if (status?.standby.state !== 'following') return undefined;
  return status.primary === 'main' ? folders.standbySocket : folders.clusterSocket;
}

function readPairStatus({ standbyStatus }: Folders): PairStatus | undefined {
  try {
    return JSON.parse(readFileSync(standbyStatus, 'utf8')) as PairStatus;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const sampleEveryMs = 5_000;

/** Measured every five seconds, for `/metrics`, which asks for numbers and cannot wait. @returns the newest figures */
export function sampleStandby(
  measure: () => Promise<StandbyHealth | undefined>,
  shutdown: Shutdown,
): () => StandbyHealth | undefined {
  let newest: StandbyHealth | undefined;
  const stopping = new AbortController();
  const { signal } = stopping;
  const sampling = (async () => {
    while (!signal.aborted) {
      newest = await measure().catch(() => undefined);
      await delay(sampleEveryMs, undefined, { signal, ref: false }).catch(() => {});
    }
  })();
  shutdown.add('figures of the standby', 5_000, async () => {
    stopping.abort();
    await sampling;
  });
  return () => newest;
}
