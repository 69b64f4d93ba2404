import type { Clock, FreeholdError, TenantId } from '#src/kernel/index.ts';
import { retry } from '#src/kernel/index.ts';
import type { RpcCaller } from '#src/rpc/index.ts';
import type { TenantAccess, TenantDirectory, TenantRoute } from '#src/tenants/types.ts';
import { createCachedLookup } from './cached-lookup.ts';
import { decodeTenantAccess, type LinkProtocol } from './link.ts';

export interface DirectoryClientOptions {
  readonly clock: Clock;
  /** Public half of the gateway's own key; certificates are asked for it. Undefined: none are asked for. */
  readonly publicKeyPem: string | undefined;
  /** Tenants remembered at most. Default 5,000 routes; secrets of at most 500. */
  readonly maxRoutes?: number;
  readonly maxAccesses?: number;
}

export interface DirectoryClient extends TenantDirectory {
  /** What is remembered, for requests that need not wait then; undefined: ask. */
  knownRoute(host: string): TenantRoute | undefined;
  knownAccess(tenantId: TenantId): TenantAccess | undefined;
  /** Called before `onChanged`, and waited for: nobody new is let in, and who is in can still reach the tenant's data. */
  onChanging(listener: (tenantId: TenantId) => Promise<void>): void;
  /** Control says so: forget the tenant, run every listener, then answer. A listener that fails makes control disconnect us. */
  changed(tenantId: TenantId): Promise<void>;
  /** The link was re-made. */
  flush(): Promise<void>;
}

const negativeTtlMs = 2_000;
/** Changes are announced, so time is only a second line of defence. */
const ttlMs = 300_000;
const certificateTtlMs = 3_600_000;

/** The gateway's view of control, with what it was told kept until control says otherwise. Accesses hold secrets: never logged. */
export function createDirectoryClient(
  rpc: Pick<RpcCaller<LinkProtocol['server']>, 'call'>,
  options: DirectoryClientOptions,
): DirectoryClient {
  const { clock, publicKeyPem, maxRoutes = 5_000, maxAccesses = 500 } = options;
  const changingListeners: ((tenantId: TenantId) => Promise<void>)[] = [];
  const changeListeners: ((tenantId: TenantId) => Promise<void>)[] = [];
  const flushListeners: (() => Promise<void>)[] = [];

  const routes = createCachedLookup<TenantRoute>({
    maxEntries: maxRoutes,
    ttlMs,
    negativeTtlMs,
    clock,
    load: async (host) => (await asking(() => rpc.call('findRoute', { host }))) ?? undefined,
  });
  const accesses = createCachedLookup<TenantAccess>({
    maxEntries: maxAccesses,
    ttlMs,
    negativeTtlMs,
    clock,
    load: async (tenantId) =>
      decodeTenantAccess(await asking(() => rpc.call('getAccess', { tenantId: tenantId as TenantId }))),
  });
  const certificates = createCachedLookup<string>({
    maxEntries: maxRoutes,
    ttlMs: certificateTtlMs,
    negativeTtlMs,
    clock,
    load: async (host) => {
      if (publicKeyPem === undefined) return undefined;
      return (await asking(() => rpc.call('findCertificate', { host, publicKeyPem }))) ?? undefined;
    },
  });

  return {
    knownRoute: (host) => routes.known(host),
    knownAccess: (tenantId) => accesses.known(tenantId),
    findRoute: (host) => routes.get(host),
    getAccess: (tenantId) => accesses.get(tenantId) as Promise<TenantAccess>,
    findCertificate: (host) => certificates.get(host),
    onChanging: (listener) => void changingListeners.push(listener),
    onChanged: (listener) => void changeListeners.push(listener),
    onFlush: (listener) => void flushListeners.push(listener),
    changed: async (tenantId) => {
      // The last name of a deleted tenant may be another tenant's by now.
      routes.forget((route) => route.tenantId === tenantId || route.state === 'deleted');
      // A new host has none yet; what is known of others stays true.
      certificates.forget(() => false);
      await Promise.all(changingListeners.map((listener) => listener(tenantId)));
      accesses.forget((access) => access.tenantId === tenantId);
      await Promise.all(changeListeners.map((listener) => listener(tenantId)));
    },
    flush: async () => {
      routes.clear();
      accesses.clear();
      certificates.clear();
      await Promise.all(flushListeners.map((listener) => listener()));
    },
  };
}

/** Questions change nothing, so one that was lost with the link is asked once more. */
function asking<T>(ask: () => Promise<T>): Promise<T> {
  return retry(
    {
      attempts: 2,
      firstDelayMs: 10,
      maxDelayMs: 50,
      isRetryable: (error) => (error as FreeholdError).code === 'FH_CONTROL_UNAVAILABLE',
    },
    ask,
  );
}
