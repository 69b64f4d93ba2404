import { tenantErrors } from '../errors.ts';
import type { Flow } from '../flow.ts';
import { hasRunningCopy, setKeyDueAt } from '../sql.ts';
import { completionStep } from './certificate.ts';
import { destroyKeyStep } from './delete.ts';
import { removeServerStep } from './servers.ts';
import { beginOnTenant, type FlowDeps } from './steps.ts';

/** Destroy: ends what a deletion left for its grace period, the key, here and in every region, and completes the certificate. There is no way back. */
export function createDestroyFlow(deps: FlowDeps): Flow<'destroy'> {
  return {
    kind: 'destroy',
    onFailure: 'keep',
    cancellable: false,
    steps: () => [destroyKeyStep(deps), removeServerStep(deps), completionStep(deps)],

    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'destroy', request);
      if (!tenant.keyDueAt) throw tenantErrors.FH_TENANT_STATE({ detail: 'its key is destroyed already' });
      // Under the lock that a restore takes to begin: one of the two comes first, and the other sees it.
      if (request.input.whenDue && (await hasRunningCopy(tx, tenantId)))
        throw tenantErrors.FH_TENANT_BUSY({ detail: 'it is being restored' });
      return { tenantId, tenantName: tenant.name, input: {} };
    },

    async finish(tx, { operation, tenantId, memo }) {
      await setKeyDueAt(tx, tenantId, null);
      await deps.recordAudit(tx, {
        name: 'tenant.key_destroyed',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, certificateId: memo.certificateId ?? null },
      });
    },

    abandon: async () => {},
  };
}
