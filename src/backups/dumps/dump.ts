import { type Binaries, startTool } from '#src/clusters/index.ts';
import {
  type Clock,
  type ClusterId,
  FreeholdError,
  failpoint,
  type Log,
  newId,
  parseLsn,
  type TenantId,
  waitFor,
} from '#src/kernel/index.ts';
import { sealObject } from '#src/keys/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import { createLiveRegions, type RegionResult } from '../base/index.ts';
import { dumpErrors } from './errors.ts';
import { dumpName } from './names.ts';
import { exportSnapshot, readPosition, readReplayed, selectUnloggedTables } from './sql.ts';
import type { ContentPort, DumpHeader, DumpSource, SurveyedContent } from './types.ts';

export interface DumpOptions {
  readonly clusterId: ClusterId;
  readonly tenantId: TenantId;
  /** In the order in which they are tried. */
  readonly sources: readonly DumpSource[];
  /** What the primary had written when the dump was asked for: a standby is waited for. */
  readonly writtenLsn: string;
  readonly regions: readonly RegionStore[];
  readonly keys: Pick<BackupKeys, 'currentKey'>;
  readonly content: ContentPort;
  readonly binaries: Binaries;
  /** Says whether what the database holds now needs no new dump. Default: it always does. */
  readonly isKnown?: (content: SurveyedContent, keyId: string) => boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onBytes?: (sealedBytes: number) => void;
  /** For a standby to come up. Default 60,000. */
  readonly replayDeadlineMs?: number;
  /** A region that takes no byte for so long is left out. Default 60,000. */
  readonly stallMs?: number;
}

export type DumpResult =
  | { readonly outcome: 'unchanged'; readonly server: DumpSource['server'] }
  | {
      readonly outcome: 'stored';
      readonly header: DumpHeader;
      readonly content: SurveyedContent;
      /** As it lies in each region. */
      readonly sizeBytes: number;
      readonly regions: readonly RegionResult[];
    };

/**
 * One tenant's dump, from one snapshot, into every region at once; nothing of it on local disk. What the database holds is told by the same snapshot and goes into
 * the authenticated header. A region that fails is left out; with none left, or when pg_dump does not end well, there is no dump anywhere.
 * A standby that cancels the dump, or lags, costs a second try on the next source. Errors: FH_DUMP_FAILED, FH_BASE_BACKUP_NO_REGION, those of `keys`.
 */
export async function dumpTenant(options: DumpOptions): Promise<DumpResult> {
  const { sources, signal, log, tenantId } = options;
  if (sources.length === 0) throw new TypeError('a dump needs a server');
  for (const source of sources.slice(0, -1)) {
    try {
      return await dumpFrom(source, options);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FreeholdError && !/^FH_(DUMP|CLUSTER)_/.test(error.code)) throw error;
      log.warn('a dump is made from another server', { tenantId, server: source.server, error });
    }
  }
  return dumpFrom(sources.at(-1)!, options);
}

async function dumpFrom(source: DumpSource, options: DumpOptions): Promise<DumpResult> {
  let connection: Connection | undefined;
  try {
    const opened = await openConnection(source.target, {
      applicationName: 'freehold dump',
      options: { ...options.content.settings },
    });
    connection = opened;
    const replayed = async () => isReplayed(opened, options.writtenLsn);
    await waitFor('the standby', replayed, { deadlineMs: options.replayDeadlineMs ?? 60_000, everyMs: 20 }).catch(
      (cause) => {
        throw dumpErrors.FH_DUMP_STANDBY_BEHIND({ cause });
      },
    );
    await opened.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const result = await dumpSnapshot(opened, source, options);
    await opened.query('COMMIT');
    return result;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof FreeholdError && error.code !== 'FH_CLUSTER_TOOL_FAILED'
      ? error
      : dumpErrors.FH_DUMP_FAILED({ detail: `${options.tenantId}, from the ${source.server}`, cause: error });
  } finally {
    await connection?.close();
  }
}

async function isReplayed(connection: Connection, writtenLsn: string): Promise<boolean> {
  const replayed = await readReplayed(connection);
  return replayed === undefined || parseLsn(replayed) >= parseLsn(writtenLsn);
}

async function dumpSnapshot(connection: Connection, { target }: DumpSource, options: DumpOptions): Promise<DumpResult> {
  const { tenantId, clusterId, clock, log, signal } = options;
  const madeAt = new Date(clock.now()).toISOString();
  const { isStandby, ...position } = await readPosition(connection);
  const server = isStandby ? 'standby' : 'primary';
  const content = { ...(await options.content.read(connection)), unlogged: await selectUnloggedTables(connection) };
  const key = await options.keys.currentKey(tenantId);
  if (options.isKnown?.(content, key.keyId)) return { outcome: 'unchanged', server };

  const header: DumpHeader = {
    kind: 'dump',
    keyId: key.keyId,
    tenantId,
    dumpId: newId('dmp'),
    clusterId,
    madeAt,
    ...position,
    server,
    contentSha256: content.sha256,
    tables: content.tables.length,
    rows: content.tables.reduce((sum, { rows }) => sum + rows, 0),
  };
  const cancel = new AbortController();
  const bounded = signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal;
  const snapshot = await exportSnapshot(connection);
  const tool = await startTool(options.binaries, 'pg_dump', toolArguments(snapshot, options.content), target, {
    settings: options.content.settings,
    signal: bounded,
  });
  tool.stdin.end();
  await failpoint('backups.dump.started');
  const regions = createLiveRegions({ stores: options.regions, log, signal, stallMs: options.stallMs, what: 'a dump' });
  let sizeBytes = 0;
  async function* dumped(): AsyncGenerator<Uint8Array> {
    yield* tool.stdout;
    await failpoint('backups.dump.streamed');
    // Before the last sealed chunk: what pg_dump did not end well is published nowhere (facts F25).
    await tool.done;
  }
  async function* counted(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      sizeBytes += bytes.byteLength;
      options.onBytes?.(sizeBytes);
      yield bytes;
    }
  }
  try {
    await regions.putStream(dumpName(tenantId, header.dumpId), counted(sealObject(key.key, header)(dumped())));
  } catch (error) {
    cancel.abort();
    await tool.done.catch(() => {});
    throw error;
  }
  await failpoint('backups.dump.stored');
  const results = regions.results(new Set(regions.live().map(({ region }) => region)));
  return { outcome: 'stored', header, content, sizeBytes, regions: results };
}

function toolArguments(snapshot: string, { withoutRows }: ContentPort): string[] {
  return [
    '--format=custom',
    '--no-owner',
    '--no-privileges',
    // No schema is named: an app that runs as a process has as many as it likes, and extensions and large objects, which pg_dump would leave out.
    '--no-subscriptions',
    // A standby does not have them, a crash empties them: the same from every server.
    '--no-unlogged-table-data',
    '--lock-wait-timeout=30000',
    '--no-password',
    `--snapshot=${snapshot}`,
    ...withoutRows.map((table) => `--exclude-table-data=${table}`),
  ];
}
