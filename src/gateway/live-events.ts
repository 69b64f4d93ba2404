import type { TenantId } from '#src/kernel/index.ts';
import type { EventListener, LiveEvent } from './types.ts';

/** Events between the pages of one tenant, over all workers. Every table is keyed by tenant id; delivery is at most once. */
export interface LiveEvents {
  /** @returns the end of the subscription */
  subscribe(tenantId: TenantId, listener: EventListener): () => void;
  /** Every event that another worker published, whatever the tenant: for who keeps listeners of their own (hosting). */
  onRemote(listener: EventListener): void;
  /** To this worker's subscribers and to all other workers. */
  publish(tenantId: TenantId, event: LiveEvent): void;
  /** To the other workers only, for who has told this worker's listeners already (hosting). */
  publishToOthers(tenantId: TenantId, event: LiveEvent): void;
  /** From another worker. */
  deliver(tenantId: TenantId, event: LiveEvent): void;
}

export function createLiveEvents(sendToOthers: (tenantId: TenantId, event: LiveEvent) => void): LiveEvents {
  const subscribers = new Map<TenantId, Set<EventListener>>();
  const remoteListeners: EventListener[] = [];
  const tellHere = (tenantId: TenantId, event: LiveEvent) => {
    for (const listener of subscribers.get(tenantId) ?? []) listener(tenantId, event);
  };
  return {
    subscribe: (tenantId, listener) => {
      const ofTenant = subscribers.get(tenantId) ?? new Set();
      subscribers.set(tenantId, ofTenant.add(listener));
      return () => {
        ofTenant.delete(listener);
        if (ofTenant.size === 0 && subscribers.get(tenantId) === ofTenant) subscribers.delete(tenantId);
      };
    },
    onRemote: (listener) => void remoteListeners.push(listener),
    publish: (tenantId, event) => {
      tellHere(tenantId, event);
      sendToOthers(tenantId, event);
    },
    publishToOthers: sendToOthers,
    deliver: (tenantId, event) => {
      tellHere(tenantId, event);
      for (const listener of remoteListeners) listener(tenantId, event);
    },
  };
}
