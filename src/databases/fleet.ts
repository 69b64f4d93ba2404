import { type Clock, type Log, systemClock, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import type { MigrationFolders } from './migration-files.ts';
import type { DatabaseAdmin } from './types.ts';

export interface FleetSubject {
  readonly tenantId: TenantId;
  readonly databaseName: string;
}

export interface FleetEntry extends FleetSubject {
  /** `current`: nothing was to be done; `skipped`: the run was stopped before its turn. */
  readonly state: 'migrated' | 'current' | 'failed' | 'skipped';
  /** Numbers of the last migration per schema, where something was run. */
  readonly from: { readonly platform: number; readonly app: number } | undefined;
  readonly to: { readonly platform: number; readonly app: number } | undefined;
  /** Safe to show to staff. */
  readonly error: { readonly code: string; readonly text: string } | undefined;
  readonly durationMs: number;
}

export interface FleetOptions<S extends FleetSubject> {
  readonly admin: Pick<DatabaseAdmin, 'migrateDatabase'>;
  /** The migrations of a tenant's app. */
  readonly folders: (subject: S) => MigrationFolders;
  /** Tenants at a time; each takes one connection of its own. */
  readonly concurrency: number;
  readonly log: Log;
  readonly clock?: Clock;
  /** Aborting lets those that are under way finish and skips the rest. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (entry: FleetEntry, done: number, total: number) => void;
}

/**
 * Brings many tenants forward. Nothing is recorded here: each database knows how far it is, so a run that was killed is taken up by
 * simply running again, and whoever is there already costs one query. One tenant's failure does not stop the others.
 * @returns one entry per subject, in their order
 */
export async function migrateFleet<S extends FleetSubject>(
  subjects: readonly S[],
  options: FleetOptions<S>,
): Promise<FleetEntry[]> {
  const entries: FleetEntry[] = new Array(subjects.length);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < subjects.length; index = next++) {
      const entry = await migrateOne(subjects[index]!, options);
      entries[index] = entry;
      options.onProgress?.(entry, ++done, subjects.length);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.concurrency, subjects.length)) }, work));
  return entries;
}

async function migrateOne<S extends FleetSubject>(
  subject: S,
  { admin, folders, log, clock = systemClock, signal }: FleetOptions<S>,
): Promise<FleetEntry> {
  const startedMs = clock.monotonicMs();
  const { tenantId, databaseName } = subject;
  const entry = (facts: Partial<FleetEntry> & Pick<FleetEntry, 'state'>): FleetEntry => ({
    tenantId,
    databaseName,
    from: undefined,
    to: undefined,
    error: undefined,
    durationMs: Math.round(clock.monotonicMs() - startedMs),
    ...facts,
  });
  if (signal?.aborted) return entry({ state: 'skipped' });
  try {
    const result = await admin.migrateDatabase(databaseName, folders(subject));
    if (!result) return entry({ state: 'current' });
    const { platform, app } = result;
    return entry({
      state: 'migrated',
      from: { platform: platform.from, app: app.from },
      to: { platform: platform.to, app: app.to },
    });
  } catch (error) {
    log.error('a tenant could not be migrated', { tenantId, error });
    const { code, message } = toFreeholdError(error);
    return entry({ state: 'failed', error: { code, text: message } });
  }
}
