import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import { describeUserAgent } from '../sessions/browser.ts';
import { addressRange } from '../sign-in/address.ts';
import type { TokenCaller } from '../tokens/api-token-check.ts';
import { findScimToken, type ScimTokenUse, touchScimToken } from './scim-tokens-sql.ts';

/** The last use is written at most this often, so that a request that reads is a read. */
const touchEverySeconds = 300;

export interface ScimTokenCheck {
  /** What token it is, by its `hashScimToken`, if it is good at this moment: one read in the tenant's own database, every time. */
  checkScimToken(tenantId: TenantId, tokenHash: Buffer, caller: TokenCaller): Promise<ScimTokenUse | undefined>;
  /** Waits for last uses that are being written. */
  settleScimTokens(): Promise<void>;
}

export function createScimTokenCheck(deps: {
  readonly databases: TenantDatabases;
  readonly clock: Clock;
  readonly log: Log;
}): ScimTokenCheck {
  const { databases, clock, log } = deps;
  const touchedAtMs = new Map<string, number>();
  const running = new Set<Promise<void>>();

  function touch(tenantId: TenantId, tokenId: string, lastUsedAt: Date | null, caller: TokenCaller): void {
    if (lastUsedAt && clock.now() - lastUsedAt.getTime() < touchEverySeconds * 1000) return;
    const nowMs = clock.monotonicMs();
    const name = `${tenantId} ${tokenId}`;
    if (nowMs - (touchedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < touchEverySeconds * 1000) return;
    if (touchedAtMs.size >= 1_000) touchedAtMs.clear();
    touchedAtMs.set(name, nowMs);
    const used = {
      everySeconds: touchEverySeconds,
      range: caller.address === undefined ? undefined : addressRange(caller.address),
      userAgent: describeUserAgent(caller.userAgent),
    };
    const write = databases.platform
      .transact(tenantId, (db) => touchScimToken(db, tokenId, used))
      .catch((error) => log.warn('the last use of a SCIM token was not written', { tenantId, error }))
      .finally(() => running.delete(write));
    running.add(write);
  }

  return {
    async checkScimToken(tenantId, tokenHash, caller) {
      const found = await databases.platform.read(tenantId, (db) => findScimToken(db, tokenHash));
      if (found) touch(tenantId, found.use.tokenId, found.lastUsedAt, caller);
      return found?.use;
    },
    async settleScimTokens() {
      await Promise.all(running);
    },
  };
}
