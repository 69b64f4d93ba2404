import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import { describeUserAgent } from '../sessions/browser.ts';
import { addressRange } from '../sign-in/address.ts';
import type { ApiTokenUse } from '../types.ts';
import { checkTokenText, isTokenLive, readCheckedToken, touchToken } from './api-tokens-sql.ts';

/** The last use is written at most this often, so that a request is a read. */
const touchEverySeconds = 3_600;
const maxRemembered = 10_000;

/** Where a request with a token comes from. */
export interface TokenCaller {
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
}

export interface ApiTokenCheck {
  /**
   * Whose token it is, by its `hashApiToken`, if it is good at this moment: one read as the app role in the tenant's own database, every time.
   * Undefined alike for unknown, expired and revoked ones, and for those of users who are disabled.
   */
  checkApiToken(tenantId: TenantId, tokenHash: Buffer, caller: TokenCaller): Promise<ApiTokenUse | undefined>;
  isApiTokenLive(tenantId: TenantId, tokenId: string): Promise<boolean>;
  /** Waits for last uses that are being written. */
  settleApiTokens(): Promise<void>;
}

export function createApiTokenCheck(deps: {
  readonly databases: TenantDatabases;
  readonly clock: Clock;
  readonly log: Log;
}): ApiTokenCheck {
  const { databases, clock, log } = deps;
  const touchedAtMs = new Map<string, number>();
  const running = new Set<Promise<void>>();

  function touch(tenantId: TenantId, { tokenId }: ApiTokenUse, lastUsedAt: Date | null, caller: TokenCaller): void {
    if (lastUsedAt && clock.now() - lastUsedAt.getTime() < touchEverySeconds * 1000) return;
    const nowMs = clock.monotonicMs();
    const name = `${tenantId} ${tokenId}`;
    // One write per token and worker, also while the first is still under way or our clock is ahead of the server's.
    if (nowMs - (touchedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < touchEverySeconds * 1000) return;
    if (touchedAtMs.size >= maxRemembered) touchedAtMs.clear();
    touchedAtMs.set(name, nowMs);
    const used = {
      everySeconds: touchEverySeconds,
      range: caller.address === undefined ? undefined : addressRange(caller.address),
      userAgent: describeUserAgent(caller.userAgent),
    };
    const write = databases.platform
      .transact(tenantId, (db) => touchToken(db, tokenId, used))
      .catch((error) => log.warn('the last use of an API token was not written', { tenantId, error }))
      .finally(() => running.delete(write));
    running.add(write);
  }

  return {
    async checkApiToken(tenantId, tokenHash, caller) {
      const rows = await databases.app.read(tenantId, (db) => db.query(checkTokenText, [tokenHash]));
      const found = readCheckedToken(rows);
      if (found) touch(tenantId, found.use, found.lastUsedAt, caller);
      return found?.use;
    },
    isApiTokenLive: (tenantId, tokenId) => databases.app.read(tenantId, (db) => isTokenLive(db, tokenId)),
    async settleApiTokens() {
      await Promise.all(running);
    },
  };
}
