import { createHash } from 'node:crypto';
import type { Downloader, DownloadRequest } from '#src/gateway/index.ts';
import { type Clock, randomBytes } from '#src/kernel/index.ts';
import { mainErrors } from './errors.ts';

const ttlMs = 2 * 60_000;
/** Of all tenants at once; the oldest goes first. */
const maxWaiting = 10_000;

interface Waiting extends Downloader {
  /** By this process's own clock, which nobody sets. */
  readonly endsAtMs: number;
}

/**
 * Confirmations that wait to be used: in memory, because they live for two minutes; after a restart of control the owner confirms again. Only a hash of each is kept.
 * Each is good once, at the tenant and for the session it was given to; whoever shows it elsewhere has used it up.
 */
export function createDownloadConfirmations(clock: Clock) {
  const waiting = new Map<string, Waiting>();
  const hash = (confirmation: string) => createHash('sha256').update(confirmation).digest('base64');

  return {
    give(who: Downloader): { confirmation: string; expiresAt: string } {
      const nowMs = clock.monotonicMs();
      for (const [key, { endsAtMs }] of waiting) {
        if (endsAtMs > nowMs && waiting.size < maxWaiting) break;
        waiting.delete(key);
      }
      const confirmation = randomBytes(32).toString('base64url');
      const { tenantId, userId, sessionId } = who;
      waiting.set(hash(confirmation), { tenantId, userId, sessionId, endsAtMs: nowMs + ttlMs });
      return { confirmation, expiresAt: new Date(clock.now() + ttlMs).toISOString() };
    },
    /** Throws FH_DOWNLOAD_NOT_CONFIRMED, for whatever reason. */
    take(who: Downloader, { confirmation }: Pick<DownloadRequest, 'confirmation'>): void {
      const key = hash(confirmation);
      const found = waiting.get(key);
      waiting.delete(key);
      const isGood =
        found !== undefined &&
        found.endsAtMs > clock.monotonicMs() &&
        found.tenantId === who.tenantId &&
        found.userId === who.userId &&
        found.sessionId === who.sessionId;
      if (!isGood) throw mainErrors.FH_DOWNLOAD_NOT_CONFIRMED();
    },
  };
}
