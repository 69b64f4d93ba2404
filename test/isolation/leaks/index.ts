/**
 * Leaks to be planted, one at a time, into a copy of the product: each must be noticed by the suite. Where the product has two barriers for one
 * threat, either each is taken away alone and a probe looks at that barrier itself, or both are taken away and the data is seen to leak.
 */
import { apiTokenLeaks } from './api-tokens.ts';
import { appLeaks } from './apps.ts';
import { databaseLeaks } from './databases.ts';
import { gatewayLeaks } from './gateway.ts';
import { hostingLeaks } from './hosting.ts';
import { identityLeaks } from './identity.ts';
import { pluginLeaks } from './plugins.ts';
import { presumptionLeaks } from './presumption.ts';
import { scimLeaks } from './scim.ts';
import { secondFactorLeaks } from './second-factors.ts';
import { tenantLeaks } from './tenants.ts';
import type { PlantedLeak } from './types.ts';

export type { Edit, PlantedLeak } from './types.ts';

export const plantedLeaks: readonly PlantedLeak[] = [
  ...gatewayLeaks,
  ...identityLeaks,
  ...apiTokenLeaks,
  ...scimLeaks,
  ...secondFactorLeaks,
  ...databaseLeaks,
  ...tenantLeaks,
  ...hostingLeaks,
  ...appLeaks,
  ...pluginLeaks,
  ...presumptionLeaks,
];
