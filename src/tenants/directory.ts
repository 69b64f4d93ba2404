import type { Log, TenantId } from '#src/kernel/index.ts';
import type { KeyStore } from '#src/keys/index.ts';
import { createCredentials } from './credentials.ts';
import { tenantErrors } from './errors.ts';
import type { ControlDatabase, ServerAddress } from './ports.ts';
import { findRouteByName } from './routes-sql.ts';
import { findTenant } from './sql.ts';
import type { Tenant, TenantAccess, TenantDirectory, TenantState } from './types.ts';

export interface ControlDirectoryDeps {
  readonly db: ControlDatabase;
  readonly keys: KeyStore;
  readonly serverOf: (databaseName: string) => Promise<ServerAddress>;
  /** Tenants live at `NAME.domain`. Lower case, no dot at the end. */
  readonly domain: string;
  /** Signs a certificate (PEM chain) for one host; undefined: certificates come from elsewhere. */
  readonly issueCertificate?: (host: string) => Promise<string | undefined>;
  readonly log: Log;
}

/** Control's side of the directory: answers gateways, and tells everyone who listens what changed. */
export interface ControlDirectory extends TenantDirectory {
  /** Calls every listener and waits for all: wire it as the lifecycle's `notifyGateways`. */
  changed(tenantId: TenantId): Promise<void>;
  /** The same directory for control's own work on tenants that are closed to gateways (creating, suspended, deleting …). */
  readonly forLifecycle: TenantDirectory;
}

/** States in which gateways may reach a tenant's data. */
const openStates: readonly TenantState[] = ['active'];
/** States in which control itself may. */
const reachableStates: readonly TenantState[] = [
  'creating',
  'active',
  'migrating',
  'suspended',
  'restoring',
  'moving',
  'deleting',
];

export function createControlDirectory(deps: ControlDirectoryDeps): ControlDirectory {
  const { db, keys, serverOf, domain } = deps;
  const credentials = createCredentials({ db, keys });
  const listeners: ((tenantId: TenantId) => Promise<void>)[] = [];
  const suffix = `.${domain}`;

  /** The label of a tenant's host; undefined for every other shape of host. */
  function labelOf(host: string): string | undefined {
    if (!host.endsWith(suffix)) return undefined;
    const label = host.slice(0, -suffix.length);
    return /^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$/.test(label) ? label : undefined;
  }

  async function access(tenantId: TenantId, states: readonly TenantState[]): Promise<TenantAccess> {
    const tenant = await findTenant(db, tenantId);
    if (!tenant) throw tenantErrors.FH_TENANT_NOT_FOUND();
    if (!states.includes(tenant.state) || !tenant.databaseName) {
      throw tenantErrors.FH_TENANT_NOT_ACTIVE({ detail: `it is ${tenant.state}` });
    }
    return openAccess(tenant, tenant.databaseName);
  }

  async function openAccess(tenant: Tenant, databaseName: string): Promise<TenantAccess> {
    const { tenantId } = tenant;
    const opened = Promise.all([
      keys.deriveTenantKey(tenantId, 'session-cookie'),
      keys.deriveTenantKey(tenantId, 'files'),
      keys.deriveTenantKey(tenantId, 'second-factors'),
      keys.deriveTenantKey(tenantId, 'app-identity'),
    ]);
    // A tenant without credentials may have no key either; the former is what is said.
    opened.catch(() => {});
    const passwords = await credentials.find(tenantId);
    if (!passwords) throw tenantErrors.FH_TENANT_NOT_ACTIVE({ detail: 'it has no credentials yet' });
    const [cookieKey, filesKey, factorsKey, identityKey] = await opened;
    const server = await serverOf(databaseName);
    return {
      tenantId,
      database: { ...server, name: databaseName },
      app: { user: databaseName, password: passwords.appPassword },
      platform: { user: `${databaseName}_p`, password: passwords.platformPassword },
      cookieKey,
      filesKey,
      factorsKey,
      identityKey,
    };
  }

  const directory = (states: readonly TenantState[]): TenantDirectory => ({
    async findRoute(host) {
      const label = labelOf(host);
      const route = label === undefined ? undefined : await findRouteByName(db, label);
      return route && { ...route, host };
    },
    getAccess: (tenantId) => access(tenantId, states),
    async findCertificate(host) {
      if (!deps.issueCertificate) return undefined;
      const label = labelOf(host);
      const known = host === domain || (label !== undefined && (await findRouteByName(db, label)) !== undefined);
      return known ? deps.issueCertificate(host) : undefined;
    },
    onChanged: (listener) => listeners.push(listener),
    // Control reads its own database: nothing here can be stale.
    onFlush: () => {},
  });

  return {
    ...directory(openStates),
    forLifecycle: directory(reachableStates),
    async changed(tenantId) {
      const results = await Promise.allSettled(listeners.map((listener) => listener(tenantId)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}
