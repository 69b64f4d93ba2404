import type { ConnectionTarget } from '#src/postgres/types.ts';

/** A running Freehold with two gateway workers, however its processes are put together. */
export interface Product {
  readonly dataDir: string;
  /** Port that users type, and that stands in every Host header. */
  readonly publicPort: number;
  /** Ports to connect to, one after the other, so that every worker has been asked. */
  readonly doors: readonly number[];
  /** Port of the operator's console. */
  readonly consolePort: number;
  /** PEM of the local authority. */
  readonly ca: string;
  /** Control's role in the control database. */
  readonly control: ConnectionTarget;
  /** The server's own role for looking behind the curtain; undefined: only PostgreSQL's own OS user has one. */
  readonly superuser: ConnectionTarget | undefined;
  /** Whether the server is the one that Freehold itself set up. */
  readonly ownsServer: boolean;
  /** The operator's interface: the command socket. */
  command(method: string, path: string, body?: unknown): Promise<CommandAnswer>;
  /** Everything that the processes have logged so far. */
  readLogs(): string;
  /** Log of the database server; empty when it is not ours. */
  readServerLog(): string;
  stop(): Promise<void>;
}

export interface CommandAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
  readonly json: any;
  readonly bytes: Buffer;
}
