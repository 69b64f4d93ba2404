import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Binaries, type EmptyServer, startTool } from '#src/clusters/index.ts';
import { type Clock, FreeholdError, failpoint, randomName } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { type DumpPlace, type OpenedDump, openDump, toDamage } from './open.ts';
import { readPosition } from './sql.ts';
import type { ContentPort, DumpedContent, DumpFinding, DumpHeader, DumpVerification } from './types.ts';

export interface VerifyDumpOptions {
  readonly dump: DumpPlace;
  /** Nothing is read from any other. */
  readonly region: RegionStore;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  /** Thrown away by the caller. */
  readonly server: EmptyServer;
  readonly binaries: Binaries;
  readonly content: ContentPort;
  /** What its snapshot held, table by table, to name what differs; the header alone says whether anything does. */
  readonly tables?: DumpedContent['tables'];
  /** Asked before anything is written, with about what it will take. */
  readonly requireRoom?: (sizeBytes: number) => Promise<void>;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Verdicts about the dump. All other errors are about us, and are thrown: a region that is away proves nothing. */
const isVerdict = /^FH_(DUMP_|KEY_UNSEAL|CLUSTER_TOOL_FAILED)/;

/**
 * Loads one dump from one region into a database of its own on a scratch server and compares what is there with what its snapshot held: rows and
 * sequences by hash, tables by their counts, large objects by their number. Errors: those of the region, FH_KEY_DESTROYED, of the scratch server.
 */
export async function verifyDump(options: VerifyDumpOptions): Promise<DumpVerification> {
  const { dump, region, clock } = options;
  const startedAt = new Date(clock.now());
  const findings = await findDifferences(options);
  await failpoint('backups.dump.verified');
  return {
    ...dump,
    region: region.region,
    startedAt,
    finishedAt: new Date(clock.now()),
    passed: findings.length === 0,
    findings,
  };
}

async function findDifferences(options: VerifyDumpOptions): Promise<DumpFinding[]> {
  const { dump, region, keys, server } = options;
  const database = `v_${randomName(20)}`;
  // No superuser: what is loaded are the tenant's own statements. Another one each time: a role keeps what it says of itself (ALTER ROLE … SET).
  const loader = `l_${database.slice(2)}`;
  let content: OpenedDump['content'] | undefined;
  try {
    const opened = await openDump(region, dump, keys);
    const { header } = opened;
    content = opened.content;
    await options.requireRoom?.(header.databaseBytes);
    await onServer(server, [
      `CREATE ROLE ${loader} LOGIN`,
      `CREATE DATABASE ${database} OWNER ${loader} TEMPLATE template0`,
    ]);
    try {
      await load(options, { database, loader }, opened.content).catch((error) => {
        throw toDamage(error, region.region, dump.dumpId);
      });
      return await compare(options, { database, loader }, header);
    } finally {
      await onServer(server, [`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`, `DROP ROLE IF EXISTS ${loader}`]);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof FreeholdError && isVerdict.test(error.code))) throw error;
    return [{ code: error.code, text: describe(error) }];
  } finally {
    // Read to its end or not: the region's object is let go.
    await content?.return?.();
  }
}

interface Place {
  readonly database: string;
  readonly loader: string;
}

async function load(
  options: VerifyDumpOptions,
  { database, loader }: Place,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const { server, binaries, signal } = options;
  const tool = await startTool(
    binaries,
    'pg_restore',
    ['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction', `--dbname=${database}`],
    server.connectionTarget(database, loader),
    { ...(signal && { signal }), settings: { statement_timeout: '0', jit: 'off' } },
  );
  tool.stdout.resume();
  let refused: unknown;
  await pipeline(Readable.from(content), tool.stdin).catch((error) => {
    // EPIPE only says that the tool ended first; why, it says itself.
    if (error.code !== 'EPIPE') refused = error;
  });
  await tool.done.catch((error) => {
    throw refused ?? error;
  });
  if (refused) throw refused;
}

async function compare(
  options: VerifyDumpOptions,
  { database, loader }: Place,
  header: DumpHeader,
): Promise<DumpFinding[]> {
  const { content: port, server, tables } = options;
  const connection = await openConnection(server.connectionTarget(database, loader), {
    applicationName: 'freehold verification',
    options: { ...port.settings },
  });
  try {
    await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const found = await port.read(connection);
    const { largeObjects } = await readPosition(connection);
    await connection.query('COMMIT');
    const findings: DumpFinding[] = [];
    if (largeObjects !== header.largeObjects)
      findings.push(differs(`${largeObjects} large objects, ${header.largeObjects} expected`));
    if (found.sha256 !== header.contentSha256) findings.push(...nameDifferences(found.tables, tables));
    return findings;
  } finally {
    await connection.close();
  }
}

function nameDifferences(found: DumpedContent['tables'], expected: DumpedContent['tables'] = []): DumpFinding[] {
  const names = new Set([...expected, ...found].map(({ name }) => name));
  const findings = [...names].flatMap((name) => {
    const [before, after] = [expected, found].map((tables) => tables.find((table) => table.name === name));
    if (!before || before.sha256 === after?.sha256) return [];
    if (!after) return [differs(`table ${name} is missing`)];
    return [differs(`table ${name} has ${after.rows} rows, ${before.rows} expected, or other content`)];
  });
  return findings.length > 0 ? findings : [differs('rows or sequences are not what the snapshot held')];
}

const differs = (text: string): DumpFinding => ({ code: 'FH_DUMP_DIFFERS', text });

/** What PostgreSQL complained of, without the values that it quotes: they are the tenant's. */
function describe({ message, cause }: FreeholdError): string {
  const line = cause instanceof Error ? /error: .*/.exec(cause.message)?.[0] : undefined;
  return line ? `${message}: ${line.replace(/"[^"]*"?/g, '"…"').slice(0, 300)}` : message;
}

async function onServer(server: EmptyServer, statements: readonly string[]): Promise<void> {
  const connection = await openConnection(server.connectionTarget('postgres', 'postgres'), {
    applicationName: 'freehold verification',
  });
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.close();
  }
}
