import type { TenantDatabases } from '#src/databases/types.ts';
import { createTenantFiles } from '#src/files/index.ts';
import { createHosting, type Hosting } from '#src/hosting/index.ts';
import { createIdentity } from '#src/identity/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';
import type { Folders } from './folders.ts';
import type { Program } from './program.ts';

/** What control has of the apps: only for demo data, which an app writes in the name of users. */
export async function createDemoHosting({
  program,
  folders,
  databases,
  accessOf,
  filesKeyOf,
  keepInRegions,
  tenantUrl,
  clock,
  log,
}: {
  program: Program;
  folders: Folders;
  databases: TenantDatabases;
  accessOf: (tenantId: TenantId) => Promise<TenantAccess>;
  filesKeyOf: (tenantId: TenantId) => Promise<Uint8Array>;
  keepInRegions: (tenantId: TenantId, name: string) => Promise<void>;
  tenantUrl: (name: string) => string;
  clock: Clock;
  log: Log;
}): Promise<Hosting> {
  const identity = createIdentity({
    databases,
    cookieKeyOf: async (tenantId) => (await accessOf(tenantId)).cookieKey,
    factorsKeyOf: async (tenantId) => (await accessOf(tenantId)).factorsKey,
    log,
    clock,
  });
  return createHosting({
    apps: program.apps,
    databases,
    files: await createTenantFiles({ root: folders.files, databases, filesKeyOf, clock, keepInRegions }),
    users: { listUsers: (tenantId) => identity.listUsers(tenantId) },
    identify: () => {
      throw new Error('control serves no app requests');
    },
    publishEvent: () => {},
    urlOf: (route) => tenantUrl(route.name),
    clock,
    log,
  });
}
