import { controlAuditLog } from '#src/audit/index.ts';
import type { HealthWarning, SuspectBackup } from '#src/console-api/index.ts';
import type { Queryable } from '#src/postgres/index.ts';

/** The newest base backup of a server, when a page in it failed its checksum; a sound one afterwards ends it. */
export async function findSuspectBackup(db: Queryable, server: string): Promise<SuspectBackup | undefined> {
  const newest = async (name: 'backup.suspect' | 'backup.completed') =>
    (await controlAuditLog.list(db, { name, server, limit: 1 })).events[0];
  const [suspect, completed] = await Promise.all([newest('backup.suspect'), newest('backup.completed')]);
  if (!suspect || (completed && completed.recordedAt > suspect.recordedAt)) return undefined;
  const { damaged } = suspect.details;
  return {
    backupId: suspect.subject,
    at: suspect.recordedAt.toISOString(),
    damaged: typeof damaged === 'string' ? damaged.split(' ') : [],
  };
}

/** @param where the server, in words; of the shared one nothing */
export function findSuspectWarnings(suspect: SuspectBackup | undefined, where = ''): HealthWarning[] {
  if (!suspect) return [];
  const { backupId, at, damaged } = suspect;
  return [
    {
      severity: 'problem',
      text: `Pages failed their checksum in the base backup ${backupId}${where} of ${at}${damaged.length > 0 ? `: of ${damaged.join(', ')}` : ''}.`,
      hint: "The primary's disk or memory damages data. Restore those tenants from an older backup, and see docs/backups.md; afterwards: ./freehold backup run",
    },
  ];
}
