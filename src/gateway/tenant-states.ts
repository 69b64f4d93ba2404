import type { ErrorDetails, FreeholdError } from '#src/kernel/index.ts';
import type { TenantState } from '#src/tenants/types.ts';
import { gatewayErrors } from './errors.ts';

type Make = (details?: ErrorDetails) => FreeholdError;
const { FH_TENANT_BEING_CREATED: creating, FH_TENANT_DELETED: deleted } = gatewayErrors;

/** What a tenant's door says in each state. `active` is the only open one; a state that is added must be decided here. */
const closedDoors: Readonly<Record<Exclude<TenantState, 'active'>, readonly [Make, retryAfterSeconds?: number]>> = {
  requested: [creating, 2],
  creating: [creating, 2],
  migrating: [gatewayErrors.FH_TENANT_BEING_UPDATED, 10],
  moving: [gatewayErrors.FH_TENANT_BEING_MOVED, 30],
  restoring: [gatewayErrors.FH_TENANT_BEING_RESTORED, 30],
  suspended: [gatewayErrors.FH_TENANT_SUSPENDED],
  deleting: [deleted],
  deleted: [deleted],
};

/** Throws unless the tenant is open. Anything unknown is closed. */
export function refuseClosedTenant(state: TenantState): void {
  if (state === 'active') return;
  const [make, retryAfterSeconds] = closedDoors[state] ?? [gatewayErrors.FH_HOST_UNKNOWN];
  throw make({ retryAfterSeconds });
}
