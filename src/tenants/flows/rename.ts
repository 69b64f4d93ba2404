import { tenantErrors } from '../errors.ts';
import type { Flow } from '../flow.ts';
import { parseTenantName } from '../names.ts';
import { activateName, claimName, releaseClaim } from '../names-sql.ts';
import { gatewaysStep } from './availability.ts';
import { beginOnTenant, type FlowDeps, heldUntilOf, nowOf } from './steps.ts';

/**
 * Rename: the new name is promised first, then both names change in one transaction. The old name answers like any unknown
 * host (a page that told where the tenant went would tell strangers who is a customer) and is held back.
 */
export function createRenameFlow(deps: FlowDeps): Flow<'rename'> {
  return {
    kind: 'rename',
    onFailure: 'keep',
    cancellable: true,
    steps: ({ newName }) => [
      {
        name: 'names',
        run: ({ tenantId, setResult }) =>
          deps.db
            .transaction((tx) => activateName(tx, tenantId, newName, heldUntilOf(deps)))
            .then(() => setResult({ url: deps.settings.tenantUrl(newName) })),
        undo: ({ tenantId, operation }) =>
          deps.db.transaction((tx) => activateName(tx, tenantId, operation.tenantName, heldUntilOf(deps))),
      },
      gatewaysStep(deps),
    ],
    async begin(tx, request) {
      const newName = parseTenantName(request.input.newName);
      const { tenantId, tenant } = await beginOnTenant(tx, 'rename', request);
      if (tenant.name === newName)
        throw tenantErrors.FH_TENANT_NAME_TAKEN({ detail: 'the tenant has this name already' });
      await claimName(tx, newName, tenantId, nowOf(deps));
      return { tenantId, tenantName: tenant.name, input: { newName } };
    },
    async finish(tx, { operation, tenantId, tenant }) {
      await deps.recordAudit(tx, {
        name: 'tenant.renamed',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { from: operation.tenantName, to: (await tenant()).name },
      });
    },
    // The new name was shown to nobody for long: it is held back like any other name that was answered, or free if it never was.
    abandon: (tx, { tenantId }) => releaseClaim(tx, tenantId),
  };
}
