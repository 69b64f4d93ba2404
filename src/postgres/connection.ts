import pg from 'pg';
import { sendCancelRequest } from './cancel.ts';
import { CopyOut } from './copy-out.ts';
import { serverTls } from './server-tls.ts';
import { ConnectionLostError, sqlState } from './sqlstate.ts';
import { type Shapes, Statement } from './statement.ts';
import { parseTimestamp } from './timestamp.ts';
import type { Connection, ConnectionTarget, Guard, QueryResult, Row } from './types.ts';

export interface OpenConnectionOptions {
  /** Shown in pg_stat_activity; never a tenant's name. */
  readonly applicationName: string;
  /** Settings of the session, sent with the first packet: they hold before the first statement and survive RESET ALL. */
  readonly options?: Readonly<Record<string, string>>;
  /** Send statements without waiting for the answer to the one before; each still succeeds or fails alone. Default: false. */
  readonly pipeline?: boolean;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
}

const closeDeadlineMs = 5_000;

/**
 * Values as the SDK promises them: bigint and numeric are strings, because a JavaScript number would round them;
 * date is the text `YYYY-MM-DD`, because a Date would move it into a time zone that it does not have.
 */
const typeParsers = new pg.TypeOverrides();
typeParsers.setTypeParser(pg.types.builtins.INT8, (text) => text);
typeParsers.setTypeParser(pg.types.builtins.NUMERIC, (text) => text);
typeParsers.setTypeParser(pg.types.builtins.DATE, (text) => text);
typeParsers.setTypeParser(pg.types.builtins.TIMESTAMPTZ, parseTimestamp);

/** Opens one session; rejects with the server's or the operating system's error. */
export async function openConnection(target: ConnectionTarget, options: OpenConnectionOptions): Promise<Connection> {
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    password: target.password,
    ssl: serverTls(target),
    application_name: options.applicationName,
    options: startupOptions(options.options ?? {}),
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    pipeline: options.pipeline ?? false,
    keepAlive: true,
    types: typeParsers,
  });
  const reported = new Map<string, string>();
  // Not in the package's types: its protocol layer emits the server's ParameterStatus messages.
  (client.connection as unknown as NodeJS.EventEmitter).on(
    'parameterStatus',
    (message: { parameterName: string; parameterValue: string }) =>
      reported.set(message.parameterName, message.parameterValue),
  );

  let unconfirmedCommits = 0;
  client.on('notice', (notice) => {
    // A COMMIT whose wait is cancelled succeeds, with a warning that has no SQLSTATE of its own, only the place in the server that it is from
    // (PostgreSQL manual, "Synchronous Replication": syncrep.c).
    if ((notice as { routine?: unknown }).routine === 'SyncRepWaitForLSN') unconfirmedCommits++;
  });
  let ended = false;
  let broken = false;
  let endError: Error | undefined;
  const endListeners: ((error: Error | undefined) => void)[] = [];
  client.on('error', (error) => {
    endError ??= error;
    broken = true;
  });
  client.on('end', () => {
    ended = true;
    for (const listener of endListeners.splice(0)) listener(endError);
  });
  try {
    await client.connect();
  } catch (error) {
    const { stream } = client.connection;
    const hungUp = stream.readableEnded || stream.destroyed;
    stream.destroy();
    throw hungUp ? describeHangUp(error) : error;
  }

  // The driver gives what it rejects after a loss no code of its own.
  const describeLoss = (error: unknown): unknown =>
    sqlState(error) === undefined && (broken || ended || closing) ? new ConnectionLostError(error) : error;
  const own: { types: pg.CustomTypesConfig; shapes: Shapes } = { types: typeParsers, shapes: new Map() };
  const run = <R>(text: string, values?: readonly unknown[], name?: string): Promise<QueryResult<R>> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown) => reject(describeLoss(error));
      client.query(new Statement({ text, values, name }, own, resolve, fail) as unknown as pg.Submittable);
    });
  const canPair = ({ name }: Guard, other: string | undefined) =>
    name !== undefined && other !== undefined && own.shapes.has(name) && own.shapes.has(other);
  const runBehind = <R>(guard: Guard, text: string, values?: readonly unknown[], name?: string) => {
    if (!canPair(guard, name)) {
      const guarded = run<Row>(guard.text, guard.values, guard.name).then(({ rows }) => guard.accept(rows));
      const statement = run<R>(text, values, name);
      // Rejections are those of the guard first.
      statement.catch(() => {});
      return guarded.then(() => statement);
    }
    return new Promise<QueryResult<R>>((resolve, reject) => {
      const fail = (error: unknown) => reject(describeLoss(error));
      client.query(new Statement({ text, values, name }, own, resolve, fail, guard) as unknown as pg.Submittable);
    });
  };
  let closing: Promise<'clean' | 'cut'> | undefined;
  const ids = client as unknown as { processID: number; secretKey: number };
  return {
    processId: ids.processID,
    run,
    runBehind,
    query: async <R = Row>(text: string, values?: readonly unknown[]) => (await run<R>(text, values)).rows,
    async script(text) {
      await client.query(text).catch((error) => {
        throw describeLoss(error);
      });
    },
    copyOut: (text, onRow) =>
      new Promise((resolve, reject) => {
        const done = (error: unknown) => (error ? reject(describeLoss(error)) : resolve());
        client.query(new CopyOut(text, onRow, done) as unknown as pg.Submittable);
      }),
    transactionStatus: () => client.getTransactionStatus() ?? undefined,
    reportedSetting: (name) => reported.get(name),
    unconfirmedCommits: () => unconfirmedCommits,
    cancel: () => sendCancelRequest(target, ids.processID, ids.secretKey),
    close() {
      closing ??= closeClient(client, () => ended);
      return closing;
    },
    onEnd(listener) {
      if (ended) listener(endError);
      else endListeners.push(listener);
    },
  };
}

/**
 * The driver gives no code to what it rejects with when the server hangs up, or is silent, before the session exists; a connection that is cut says where it was noticed.
 * Until the session exists nothing but who we are was sent, so it is the same as not having come through.
 */
function describeHangUp(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && code !== 'ECONNRESET' && code !== 'EPIPE') return error;
  return Object.assign(new Error(error.message, { cause: error }), { code: 'ECONNRESET', syscall: 'connect' });
}

async function closeClient(client: pg.Client, isEnded: () => boolean): Promise<'clean' | 'cut'> {
  if (isEnded()) return 'clean';
  const gone = new Promise<void>((resolve) => client.once('end', () => resolve()));
  let how: 'clean' | 'cut' = 'clean';
  // A peer that no longer answers must not hold up a shutdown.
  const cut = setTimeout(() => {
    how = 'cut';
    client.connection.stream.destroy();
  }, closeDeadlineMs);
  client.end().catch(() => {});
  await gone;
  clearTimeout(cut);
  return how;
}

/** `-c name=value` list; a backslash keeps spaces and backslashes inside a value (PostgreSQL manual, "Connection settings: options"). */
function startupOptions(settings: Readonly<Record<string, string>>): string | undefined {
  const parts = Object.entries(settings).map(([name, value]) => {
    if (!/^[a-z_][a-z0-9_.]*$/.test(name)) throw new TypeError(`not a setting: ${name}`);
    return `-c ${name}=${value.replace(/[\\ \t\n]/g, '\\$&')}`;
  });
  return parts.length > 0 ? parts.join(' ') : undefined;
}
