import { readableBackups } from '../catalogue/bases.ts';
import type { ClusterCatalogue } from '../catalogue/types.ts';
import { isGood } from './anchors.ts';
import type { RetentionPolicy, RetentionRequest } from './types.ts';

const dayMs = 86_400_000;

/** What the whole region gives reason to look at. */
export function catalogueWarnings({ catalogue, now, unansweredTenants = [] }: RetentionRequest): string[] {
  const warnings: string[] = [];
  const tomorrow = now.getTime() + dayMs;
  const backups = [...catalogue.clusters.values()].flatMap((cluster) => cluster.backups);
  if (backups.some(({ storedAt }) => storedAt.getTime() > tomorrow))
    warnings.push(
      `the clock of region ${catalogue.region}, or ours, is wrong: it says that backups were stored in the future`,
    );
  if (catalogue.strangers.length > 0)
    warnings.push(
      `${catalogue.strangers.length} objects have names that are not ours, for example ${catalogue.strangers[0]}`,
    );
  const [unanswered, ...more] = unansweredTenants;
  if (unanswered)
    warnings.push(
      `nobody could say which files of ${unanswered}${more.length > 0 ? ` and ${more.length} more` : ''} are needed; all of theirs are kept`,
    );
  if (catalogue.dumps.some(({ madeAt }) => madeAt === undefined))
    warnings.push('some dumps do not say when they were made; they are kept');
  return warnings;
}

export function backupWarnings(
  cluster: ClusterCatalogue,
  unknownTimelines: readonly number[],
  { fullEveryDays }: RetentionPolicy,
  now: Date,
): string[] {
  const warnings: string[] = [];
  const { clusterId } = cluster;
  for (const timeline of unknownTimelines)
    warnings.push(
      `${clusterId}: the history file of timeline ${timeline} is missing or unreadable; everything of it is kept`,
    );
  for (const { backupId, state } of cluster.backups)
    if (state === 'unreadable')
      warnings.push(`${clusterId}: the manifest of ${backupId} cannot be read; whatever it may need is kept`);
    else if (state === 'incomplete') warnings.push(`${clusterId}: objects of ${backupId} are missing`);
  if (cluster.unreadablePieces.length > 0)
    warnings.push(`${clusterId}: ${cluster.unreadablePieces.length} pieces of WAL cannot be read; they are kept`);
  const good = readableBackups(cluster).filter((backup) => backup.state === 'complete' && isGood(backup));
  const newest = good.at(-1);
  if (!newest) warnings.push(`${clusterId}: there is no complete good backup`);
  else if (now.getTime() - newest.finishedAt.getTime() > fullEveryDays * dayMs)
    warnings.push(`${clusterId}: the newest complete good backup is older than ${fullEveryDays} days`);
  return warnings;
}
