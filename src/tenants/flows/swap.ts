import type { TenantId } from '#src/kernel/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, StepContext } from '../flow.ts';
import { swapNames } from '../names-sql.ts';
import { lockTenants, mergeResult } from '../operations-sql.ts';
import { findTenant, lockTenant } from '../sql.ts';
import { assertAllowed } from '../transitions.ts';
import type { FlowDeps } from './steps.ts';

/**
 * Swap: two tenants exchange their names in one transaction, so that a restored tenant takes the place of the old one, which is kept beside it. Done again it is
 * undone. Nobody stays signed in at either name: a session belongs to a tenant and to its host.
 */
export function createSwapFlow(deps: FlowDeps): Flow<'swap'> {
  const swap = (context: StepContext, isBack: boolean) => {
    const { name, otherName, otherTenantId } = context.operation.input as unknown as Exchange;
    const one = { tenantId: context.tenantId, name: isBack ? name : otherName };
    const other = { tenantId: otherTenantId, name: isBack ? otherName : name };
    return deps.db.transaction((tx) => swapNames(tx, one, other));
  };
  const notify = async (context: StepContext) => {
    await deps.notifyGateways(context.tenantId);
    await deps.notifyGateways((context.operation.input as unknown as Exchange).otherTenantId);
  };
  return {
    kind: 'swap',
    onFailure: 'keep',
    cancellable: true,
    steps: () => [
      { name: 'names', run: (context) => swap(context, false), undo: (context) => swap(context, true) },
      { name: 'gateways', run: notify, undo: notify },
    ],
    async begin(tx, { operationId, tenantId, input: { otherTenantId } }) {
      if (!tenantId) throw tenantErrors.FH_TENANT_NOT_FOUND();
      if (tenantId === otherTenantId) throw tenantErrors.FH_TENANT_NAME_TAKEN({ detail: 'it is the same tenant' });
      const [one, other] = [await findTenant(tx, tenantId), await findTenant(tx, otherTenantId)];
      if (!one || !other) throw tenantErrors.FH_TENANT_NOT_FOUND();
      await lockTenants(tx, [tenantId, otherTenantId], operationId);
      for (const id of [tenantId, otherTenantId].sort()) assertAllowed('swap', (await lockTenant(tx, id)).state);
      // Under the lock, and recorded: what is done again after a crash must not swap twice.
      const [name, otherName] = [(await findTenant(tx, tenantId))!.name, (await findTenant(tx, otherTenantId))!.name];
      const input: Exchange = { otherTenantId, name, otherName };
      return { tenantId, tenantName: name, input };
    },
    async finish(tx, { operation, tenantId }) {
      const { name, otherName, otherTenantId } = operation.input as unknown as Exchange;
      await mergeResult(tx, operation.operationId, {
        url: deps.settings.tenantUrl(otherName),
        keptName: name,
        keptTenantId: otherTenantId,
      });
      await deps.recordAudit(tx, {
        name: 'tenant.swapped',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { from: name, to: otherName, other: otherTenantId },
      });
    },
    abandon: async () => {},
  };
}

interface Exchange {
  readonly otherTenantId: TenantId;
  /** Before. */
  readonly name: string;
  readonly otherName: string;
}
