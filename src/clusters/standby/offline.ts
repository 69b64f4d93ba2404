import { access } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, systemClock } from '#src/kernel/index.ts';
import { clusterErrors } from '../errors.ts';
import { isFenced } from './fence.ts';
import { type MemberName, otherMember, readRoles, writeRoles } from './roles.ts';

/**
 * While nothing runs: notes that the next start makes the standby the primary, for a primary that does not start any more. What can be
 * read of its WAL is taken over then. The caller holds the data folder's lock. @returns the next primary
 */
export async function planFailover({
  rolesFile,
  dataDirs,
  acceptLoss = false,
  clock = systemClock,
}: {
  rolesFile: string;
  dataDirs: Readonly<Record<MemberName, string>>;
  /** As for a failover of servers that run. */
  acceptLoss?: boolean;
  clock?: Clock;
}): Promise<MemberName> {
  const roles = await readRoles(rolesFile);
  const accepted = acceptLoss && { acceptLoss };
  if (roles.failover) {
    if (acceptLoss) await writeRoles(rolesFile, { ...roles, failover: { ...roles.failover, ...accepted } });
    return roles.failover.to;
  }
  const to = otherMember(roles.primary);
  const isThere = await access(path.join(dataDirs[to], 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!isThere || roles.standbyDiverged || !(await isFenced(dataDirs[to])))
    throw clusterErrors.FH_FAILOVER_NO_STANDBY({ detail: `${dataDirs[to]} holds no standby` });
  const startedAt = new Date(clock.now()).toISOString();
  await writeRoles(rolesFile, { ...roles, failover: { to, planned: false, phase: 'fencing', startedAt, ...accepted } });
  return to;
}
