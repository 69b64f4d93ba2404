import type { FastifyInstance } from 'fastify';

/** A base backup, as one region tells. */
export interface BackupView {
  readonly backupId: string;
  /** Of a private server: its name. */
  readonly cluster?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly databases: number;
  /** Of the data folder. */
  readonly sizeBytes: number;
  /** Sealed bytes that this backup needs; databases that had not changed are shared with earlier ones. */
  readonly storedBytes: number;
  readonly timeline: number;
  /** From here on every moment can be restored, as far as the WAL reaches. */
  readonly stopLsn: string;
  /** A page failed its checksum. */
  readonly suspect: boolean;
  /** Regions that hold it. */
  readonly regions: readonly string[];
}

export interface BackupRun {
  readonly state: 'running' | 'succeeded' | 'failed';
  readonly startedAt: string;
  readonly readBytes: number;
  /** As large as the last one was. */
  readonly expectedBytes?: number;
  readonly backup?: BackupView;
  readonly storedDatabases?: number;
  readonly unchangedDatabases?: number;
  readonly writtenBytes?: number;
  readonly error?: { readonly code: string; readonly text: string };
}

export interface BackupList {
  /** Newest first. */
  readonly backups: readonly BackupView[];
  /** Regions that did not answer. */
  readonly away: readonly string[];
}

export interface BackupDeps {
  list(): Promise<BackupList>;
  /** Begins one, or tells of the one that runs. */
  start(): BackupRun;
  /** The newest since control started; undefined: none. */
  latest(): BackupRun | undefined;
}

export function backupRoutes(deps: BackupDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/backups', { config: { operation: 'backup.list' } }, () => deps.list());
    app.get('/api/backups/latest-run', { config: { operation: 'backup.run.get', isQuiet: true } }, () => ({
      run: deps.latest() ?? null,
    }));
    app.post('/api/backups', { config: { operation: 'backup.run' } }, (_request, reply) =>
      reply.code(202).send({ run: deps.start() }),
    );
  };
}
