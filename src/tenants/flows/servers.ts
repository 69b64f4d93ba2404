import { tenantErrors } from '../errors.ts';
import type { Step } from '../flow.ts';
import { isClusterInUse, selectPrivateClusters } from '../sql.ts';
import type { FlowDeps } from './steps.ts';

/** Name of a server to be made. FH_TENANT_EDITION_UNAVAILABLE where none can be. */
export function newCluster({ privateServers }: FlowDeps): string {
  if (!privateServers) throw tenantErrors.FH_TENANT_EDITION_UNAVAILABLE({ detail: 'private-cloud' });
  return privateServers.newName();
}

/** The PostgreSQL server of a tenant of the Private Cloud edition, and its standby. */
export function serverStep(deps: FlowDeps): Step {
  return {
    name: 'server',
    run: async ({ tenant }) => deps.privateServers!.make((await tenant()).cluster),
    undo: async ({ tenant }) => deps.privateServers!.remove((await tenant()).cluster),
  };
}

/** After the last tenant that it is there for: what can still be restored from backups needs it, because its books say what was when. */
export function removeServerStep(deps: FlowDeps): Step {
  return {
    name: 'server',
    async run({ tenantId }) {
      for (const cluster of await selectPrivateClusters(deps.db, tenantId))
        if (!(await isClusterInUse(deps.db, cluster, tenantId))) await deps.privateServers?.remove(cluster);
    },
  };
}
