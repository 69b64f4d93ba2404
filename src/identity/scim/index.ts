/**
 * scim: users and groups of a tenant as its directory keeps them (SCIM 2.0, RFC 7643 and 7644; docs/decisions/0031).
 * Invariants: a token of one tenant is none of another; every write reads its token again in its transaction; nobody becomes an owner and the last
 * active one stays; a user is disabled, never removed; a filter is evaluated over resources and never becomes part of a statement.
 */
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { OwnConfirmation } from '../sessions/own-confirmation.ts';
import { createScimTokenCheck, type ScimTokenCheck } from './scim-check.ts';
import { createScimGroups, type ScimGroups } from './scim-groups.ts';
import { createScimSettings, type ScimSettings } from './scim-settings.ts';
import { createScimUsers, type ScimUsers } from './scim-users.ts';

export { scimPath, scimRoutes } from './scim-routes.ts';
export { hashScimToken, scimTokenPattern } from './scim-token.ts';
export type { ScimTokenUse } from './scim-tokens-sql.ts';
export { addScimSettingsRoutes } from './settings-routes.ts';

export interface Scim extends ScimUsers, ScimGroups, ScimSettings, ScimTokenCheck {}

export function createScim(deps: {
  readonly databases: TenantDatabases;
  readonly confirmation: OwnConfirmation;
  readonly clock: Clock;
  readonly log: Log;
}): Scim {
  return {
    ...createScimTokenCheck(deps),
    ...createScimSettings(deps),
    ...createScimUsers(deps.databases),
    ...createScimGroups(deps.databases),
  };
}
