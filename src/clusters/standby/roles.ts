import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile, syncFolder } from '../files.ts';
import type { ShippedPlace } from './shipped-wal.ts';

/** The two data folders of a cluster. The names stay when the roles change: after a failover `standby` may be the primary. */
export const memberNames = ['main', 'standby'] as const;
export type MemberName = (typeof memberNames)[number];

export interface FailoverReport {
  readonly from: MemberName;
  readonly to: MemberName;
  /** The old primary answered when the failover began. */
  readonly planned: boolean;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** WAL that the old primary had written and the new one did not get, in bytes; undefined: the old one's WAL could not be read. */
  readonly lostBytes?: number;
  /** What regions and the shipper's spool gave; absent: the old primary answered, or nothing is shipped. */
  readonly shipped?: ShippedReport;
  /** From the first refused connection to the first that the new primary takes. */
  readonly closedMs: number;
}

export interface ShippedReport {
  /** WAL that the new primary has from there and had not itself. */
  readonly takenBytes: number;
  /** No commit that waited for every region is missing. */
  readonly isComplete: boolean;
  /** Who was asked, and why one gave nothing. */
  readonly places: readonly ShippedPlace[];
  /** In words, why not all that is held there was had. */
  readonly problem?: string;
}

/**
 * `fencing`: the old primary is being stopped, nothing was promoted yet; can be undone.
 * `promoting`: the other one has replayed everything there is; from here on there is only forward.
 */
export interface FailoverInProgress {
  readonly to: MemberName;
  readonly planned: boolean;
  readonly phase: 'fencing' | 'promoting';
  readonly startedAt: string;
  readonly lostBytes?: number;
  readonly shipped?: ShippedReport;
  /** Somebody said that it goes on also when commits that waited for every region would be missing. */
  readonly acceptLoss?: boolean;
}

/** Which data folder is the primary's, and what is under way. The only place that says so. */
export interface ClusterRoles {
  readonly format: 1;
  readonly primary: MemberName;
  readonly failover?: FailoverInProgress;
  /** The folder that is not the primary's cannot follow: it holds WAL that the primary never had. */
  readonly standbyDiverged?: boolean;
  readonly lastFailover?: FailoverReport;
}

export const otherMember = (name: MemberName): MemberName => (name === 'main' ? 'standby' : 'main');

/** Without a file, `main` is the primary: an installation that never had a standby. */
export async function readRoles(file: string): Promise<ClusterRoles> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return { format: 1, primary: 'main' };
  const roles = JSON.parse(text) as ClusterRoles;
  // A folder that is taken for the primary by mistake is a second truth: nothing is guessed here.
  if (roles.format !== 1 || !memberNames.includes(roles.primary)) throw new TypeError(`${file} makes no sense`);
  return roles;
}

/** On disk when this resolves. */
export async function writeRoles(file: string, roles: ClusterRoles): Promise<void> {
  await replaceFile(file, `${JSON.stringify(roles, undefined, 2)}\n`, undefined);
  await syncFolder(path.dirname(file));
}
