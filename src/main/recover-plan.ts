import { type Catalogue, type ClusterCatalogue, planRestore, type RestorePlan, toRefusal } from '#src/backups/index.ts';
import { type Clock, type FreeholdError, type Lsn, toFreeholdError } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import { mainErrors } from './errors.ts';

export interface ClusterRecovery {
  /** `main`, or that of a server that is there for one tenant. */
  readonly name: string;
  readonly plan: RestorePlan;
  /** WAL is there up to here without a hole, at least. */
  readonly atLeast: Lsn;
}

export interface RecoveryRequest {
  /** undefined: all that there is. */
  readonly until: Date | undefined;
  /** Databases of these owners are left out. */
  readonly destroyedKeys: ReadonlySet<KeyOwner>;
  /** Whether the key of the cluster is there. */
  readonly hasKey: (cluster: Pick<ClusterCatalogue, 'clusterId'>) => boolean;
  readonly clock: Clock;
}

export interface RecoveryPlan {
  readonly main: ClusterRecovery;
  readonly others: readonly ClusterRecovery[];
  /** Servers of tenants that cannot be put back, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Every cluster that the region holds, as a whole, to the moment or to the last piece of WAL that leads on without a hole. Without the main one there is nothing to
 * recover (FH_RECOVER_NOTHING); one of a tenant that cannot be put back keeps nobody else from it. One whose key is destroyed was removed, and is not mentioned.
 */
export function planRecovery(catalogue: Catalogue, request: RecoveryRequest): RecoveryPlan {
  const { hasKey } = request;
  const withBackups = [...catalogue.clusters.values()].filter(({ backups }) => backups.length > 0);
  const named = withBackups.map((cluster) => ({ cluster, name: nameOf(cluster) }));
  const [main, ...more] = named.filter(({ name }) => name === 'main');
  if (!main) {
    const held = withBackups.length === 0 ? 'holds no base backup' : 'holds no base backup that can be read';
    throw mainErrors.FH_RECOVER_NOTHING({ detail: `region ${catalogue.region} ${held}` });
  }
  if (more.length > 0) throw mainErrors.FH_RECOVER_NOTHING({ detail: 'it holds backups of several installations' });
  const others: ClusterRecovery[] = [];
  const left: { name: string; reason: string }[] = [];
  for (const { cluster, name } of named) {
    if (name === 'main') continue;
    if (name === undefined) {
      if (hasKey(cluster)) left.push({ name: cluster.clusterId, reason: 'none of its base backups can be read' });
      continue;
    }
    if (!hasKey(cluster)) continue;
    try {
      others.push({ name, ...planCluster(catalogue, cluster, request) });
    } catch (error) {
      left.push({ name, reason: describe(toFreeholdError(error)) });
    }
  }
  return { main: { name: 'main', ...planCluster(catalogue, main.cluster, request) }, others, left };
}

/** Of its newest backup that can be read; undefined: there is none. */
function nameOf({ backups }: ClusterCatalogue): string | undefined {
  const manifests = backups.flatMap((backup) => ('manifest' in backup ? [backup.manifest] : []));
  const newest = manifests.at(-1);
  return newest && (newest.cluster ?? 'main');
}

function planCluster(
  catalogue: Catalogue,
  cluster: ClusterCatalogue,
  { until, destroyedKeys, clock }: RecoveryRequest,
): Pick<ClusterRecovery, 'plan' | 'atLeast'> {
  const last = cluster.pieces.get(Math.max(...cluster.pieces.keys()))?.at(-1);
  if (!last) throw mainErrors.FH_RECOVER_NOTHING({ detail: `region ${catalogue.region} holds no WAL` });
  // The end of the last piece may cut a record in two; its beginning must be reached, or there was a hole before it.
  const target = until ? ({ kind: 'time', time: until } as const) : ({ kind: 'lsn', lsn: last.start } as const);
  const wanted = { kind: 'cluster' } as const;
  const now = new Date(clock.now());
  const result = planRestore({ catalogue, clusterId: cluster.clusterId, target, wanted, now, destroyedKeys });
  if (result.outcome !== 'plan') throw toRefusal(result);
  return { plan: result.plan, atLeast: last.start };
}

function describe({ title, detail }: FreeholdError): string {
  return detail === undefined ? title : `${title}: ${detail}`;
}
