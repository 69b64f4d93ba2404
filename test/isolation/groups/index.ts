import type { TestCluster } from '../../support/cluster.ts';
import type { Report } from '../report.ts';
import type { World, WorldSize } from '../world.ts';
import { probeApiTokens } from './api-tokens.ts';
import { probeApps } from './apps.ts';
import { probeBarriers } from './barriers.ts';
import { probeCaches } from './caches.ts';
import { probeDatabase } from './database.ts';
import { probeDoors } from './doors.ts';
import { probeErrors } from './errors.ts';
import { probeEvents } from './events.ts';
import { probeFiles } from './files.ts';
import { probeHosts } from './hosts.ts';
import { probeExport, probeLifecycle } from './lifecycle.ts';
import { probePasskeys } from './passkeys.ts';
import { probePlatformSchema } from './platform-schema.ts';
import { probePlugins } from './plugins.ts';
import { probePool } from './pool.ts';
import { probePresumption } from './presumption.ts';
import { probeRoles } from './roles.ts';
import { probeRoutes } from './routes.ts';
import { probeScim } from './scim.ts';
import { probeSecondFactors } from './second-factors.ts';
import { probeTokens } from './tokens.ts';

/** Groups that need a running product with two tenants, in an order in which none disturbs a later one. */
export const worldGroups: Readonly<Record<string, (world: World) => Promise<void>>> = {
  tokens: probeTokens,
  'api-tokens': probeApiTokens,
  'second-factors': probeSecondFactors,
  passkeys: probePasskeys,
  routes: probeRoutes,
  // After the routes: it removes what both tenants have of provisioning.
  scim: probeScim,
  hosts: probeHosts,
  caches: probeCaches,
  files: probeFiles,
  events: probeEvents,
  roles: probeRoles,
  database: probeDatabase,
  'platform-schema': probePlatformSchema,
  export: probeExport,
  lifecycle: probeLifecycle,
  // Last: it reads what all the others have made the processes write.
  errors: probeErrors,
};

/** Groups that take parts of the product by themselves, with a database server at most. */
export const partGroups: Readonly<Record<string, (report: Report, cluster: TestCluster) => Promise<void>>> = {
  barriers: probeBarriers,
  pool: probePool,
  doors: probeDoors,
  presumption: probePresumption,
  apps: probeApps,
  plugins: probePlugins,
};

/** Groups that can do with less than two tenants full of things. */
const smallWorlds: Readonly<Record<string, WorldSize>> = { hosts: 'owners', lifecycle: 'nobody' };

export function worldSizeFor(groups: readonly string[]): WorldSize {
  const sizes = new Set(groups.map((group) => smallWorlds[group] ?? 'twins'));
  if (sizes.has('twins')) return 'twins';
  return sizes.has('owners') ? 'owners' : 'nobody';
}
