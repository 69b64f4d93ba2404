import type { Clock, TenantId } from '#src/kernel/index.ts';
import type { Session } from '../types.ts';

/** A confirmation older than this is not even a presumption. */
const presumedForSeconds = 60;
const maxRemembered = 10_000;

export interface RememberedSession {
  readonly session: Session;
  /** On the monotonic clock; moved by whoever sees the session confirmed once more. */
  confirmedAtMs: number;
}

/**
 * Sessions that this process has seen confirmed a moment ago, by tenant and token. What is remembered allows nothing: it lets a request begin
 * while its own check is on the way (docs/decisions/0014).
 */
export interface PresumedSessions {
  find(tenantId: TenantId, tokenHash: Buffer): RememberedSession | undefined;
  remember(tenantId: TenantId, tokenHash: Buffer, session: Session): void;
  /** Without a token: everything of the tenant. Without a tenant: everything. */
  forget(tenantId?: TenantId, tokenHash?: Buffer): void;
}

export function createPresumedSessions(clock: Clock): PresumedSessions {
  const tenants = new Map<TenantId, Map<string, RememberedSession>>();
  let size = 0;
  const keyOf = (tokenHash: Buffer) => tokenHash.toString('latin1');
  function forgetAll(): void {
    tenants.clear();
    size = 0;
  }

  return {
    find(tenantId, tokenHash) {
      const found = tenants.get(tenantId)?.get(keyOf(tokenHash));
      const isFresh = found && clock.monotonicMs() - found.confirmedAtMs < presumedForSeconds * 1000;
      return isFresh ? found : undefined;
    },
    remember(tenantId, tokenHash, session) {
      const key = keyOf(tokenHash);
      if (!tenants.get(tenantId)?.has(key)) {
        if (size >= maxRemembered) forgetAll();
        size++;
      }
      let ofTenant = tenants.get(tenantId);
      if (!ofTenant) {
        ofTenant = new Map();
        tenants.set(tenantId, ofTenant);
      }
      ofTenant.set(key, { session, confirmedAtMs: clock.monotonicMs() });
    },
    forget(tenantId, tokenHash) {
      if (tenantId === undefined) return forgetAll();
      const ofTenant = tenants.get(tenantId);
      if (!ofTenant) return;
      if (tokenHash !== undefined) {
        if (ofTenant.delete(keyOf(tokenHash))) size--;
        if (ofTenant.size > 0) return;
      }
      size -= ofTenant.size;
      tenants.delete(tenantId);
    },
  };
}

/** Whether nothing that a request could see of its session has changed. */
export function isSameSession(one: Session, other: Session): boolean {
  return (
    one.sessionId === other.sessionId &&
    one.mustEnrol === other.mustEnrol &&
    one.user.userId === other.user.userId &&
    one.user.role === other.user.role &&
    one.user.email === other.user.email &&
    one.user.name === other.user.name &&
    one.createdAt.getTime() === other.createdAt.getTime() &&
    one.expiresAt.getTime() === other.expiresAt.getTime()
  );
}
