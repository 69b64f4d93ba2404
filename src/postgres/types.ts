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
}

export type Row = Record<string, unknown>;

/** Runs statements on one connection. `text` uses $1…; values are never spliced into it. */
export interface Queryable {
  query<R = Row>(text: string, values?: readonly unknown[]): Promise<R[]>;
}
