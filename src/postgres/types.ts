/** How to reach one PostgreSQL database as one role. Lives in memory only; never logged, never in a process argument. */
export interface ConnectionTarget {
  /** Absolute folder of the server's unix socket, or a host name of an external server. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** TLS towards an external server; unix sockets have none. Default: `off`. */
  readonly tls?: 'off' | 'verify-full';
  /** The only authorities whose certificates the server may have. Default: the public ones. */
  readonly ca?: ServerAuthorities;
}

/** The same certificates twice: libpq, in PostgreSQL's programs, takes them from a file only. */
export interface ServerAuthorities {
  /** Absolute. */
  readonly file: string;
  readonly pem: string;
}

export type Row = Record<string, unknown>;

/** Runs statements on one connection. `text` uses $1…; values are never spliced into it. */
export interface Queryable {
  query<R = Row>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

export interface QueryResult<R = Row> {
  readonly rows: R[];
  /** Rows returned or changed; 0 where the command counts none. */
  readonly rowCount: number;
  /** First word of the command tag: `SELECT`, `UPDATE`, `COMMIT`, `ROLLBACK` … */
  readonly command: string;
}

/** A question that goes ahead of another statement, for example whether its asker may have the answer. */
export interface Guard {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Name of its prepared statement, as for `run`. */
  readonly name: string | undefined;
  /** Sees the guard's rows before the statement's are given out; when it throws, they are not, and the statement rejects with that. */
  accept(rows: Row[]): void;
}

/** One session with one database as one role. */
export interface Connection extends Queryable {
  /** Process id of the backend in the server. */
  readonly processId: number;
  /** One statement, always by the extended protocol, so that a text can never hold a second statement.
   * `name`: kept in the server as a prepared statement under this name; one text per name. */
  run<R = Row>(text: string, values?: readonly unknown[], name?: string): Promise<QueryResult<R>>;
  /**
   * Like `run`, behind a guard. When both are prepared already, they are one message, one answer and one implicit transaction; otherwise the
   * one is sent after the other without waiting. A guard that fails makes the statement fail with its error.
   */
  runBehind<R = Row>(guard: Guard, text: string, values?: readonly unknown[], name?: string): Promise<QueryResult<R>>;
  /** Several statements in one text without values, by the simple protocol; one implicit transaction unless it says otherwise. */
  script(text: string): Promise<void>;
  /** `COPY … TO STDOUT`; `onRow` gets one row a time, whose bytes are good until it returns. */
  copyOut(text: string, onRow: (row: Buffer) => void): Promise<void>;
  /** `I` idle, `T` in a transaction, `E` in a failed one; as of the last statement that succeeded. After an error run a statement first. */
  transactionStatus(): 'I' | 'T' | 'E' | undefined;
  /** Latest value of a setting that the server reports (GUC_REPORT), for example `server_version`. */
  reportedSetting(name: string): string | undefined;
  /** Commits so far that were answered although those for whom they wait (`synchronous_standby_names`) had not confirmed them. */
  unconfirmedCommits(): number;
  /** Asks the server to cancel what runs; resolves when the server has passed the request on. The statement itself then rejects with 57014. */
  cancel(): Promise<void>;
  /** Says goodbye and resolves when the socket is closed. `cut`: the server did not answer within 5 seconds, so its side may still
   * be there. Never rejects; may be called again. */
  close(): Promise<'clean' | 'cut'>;
  /** Called once when the connection is gone, with the error unless it was closed by us. Called at once when it is gone already. */
  onEnd(listener: (error: Error | undefined) => void): void;
}
