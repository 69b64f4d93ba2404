import pg from 'pg';
import { type Execution, encodeExecutions, type SentValue } from './bind-message.ts';
import type { Guard, QueryResult, Row } from './types.ts';

/** What the driver calls on a query that it runs; not in the package's types. */
interface DriverQuery {
  text: string;
  values: readonly unknown[];
  name: string | undefined;
  callback: ((error: Error | null) => void) | undefined;
}
interface DriverConnection {
  readonly stream: { readonly writable: boolean; cork(): void; uncork(): void; write(bytes: Uint8Array): void };
  readonly parsedStatements: Record<string, string | undefined>;
  readonly submittedNamedStatements: Record<string, string | undefined>;
  parse(message: object): void;
  bind(message: object): void;
  describe(message: object): void;
  execute(message: object): void;
  sync(): void;
  sendCopyFail(reason: string): void;
}
interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}
const { Query, utils } = pg as unknown as {
  Query: new (text: string) => DriverQuery;
  utils: { prepareValue(value: unknown): SentValue };
};

type ParseValue = (text: string) => unknown;

/** The columns of an answer, worked out once. */
interface Shape {
  readonly names: readonly string[];
  readonly parsers: readonly ParseValue[];
  readonly empty: Row;
}

/** Shapes of one connection's prepared statements, by name. */
export type Shapes = Map<string, Shape>;

const noValues: readonly unknown[] = [];

/**
 * One statement of the extended protocol, with less ado than the driver's own: its columns are asked for only when they are not known
 * yet. The server guarantees that those of a prepared statement stay what they were: after DDL it refuses with 0A000 instead.
 * It extends the driver's class because a pipelined client takes no other.
 */
export class Statement<R = Row> extends Query {
  readonly #types: pg.CustomTypesConfig;
  readonly #shapes: Shapes;
  readonly #resolve: (result: QueryResult<R>) => void;
  readonly #reject: (error: unknown) => void;
  #rows: Row[] = [];
  #shape: Shape | undefined;
  #tag = '';
  /** Until its answer is there. */
  #guard: Guard | undefined;
  #failure: unknown;

  constructor(
    statement: {
      readonly text: string;
      readonly values: readonly unknown[] | undefined;
      readonly name: string | undefined;
    },
    connection: { readonly types: pg.CustomTypesConfig; readonly shapes: Shapes },
    resolve: (result: QueryResult<R>) => void,
    reject: (error: unknown) => void,
    /** Both must be prepared, with their columns known: `canPair`. */
    guard?: Guard,
  ) {
    super(statement.text);
    this.name = statement.name;
    this.values = statement.values ?? noValues;
    this.#types = connection.types;
    this.#shapes = connection.shapes;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#guard = guard;
    // The driver asks for it, to know that nobody listens to events.
    this.callback = (error) => this.#reject(error);
  }

  /** @returns an error instead of throwing it, as the driver wants it */
  submit(connection: DriverConnection): Error | null {
    const { text, name, values } = this;
    if (!Array.isArray(values)) return new TypeError('the values of a statement are a list');
    const known =
      name === undefined ? undefined : (connection.parsedStatements[name] ?? connection.submittedNamedStatements[name]);
    if (known !== undefined && known !== text) return otherStatement(name);
    const guard = this.#guard;
    if (guard && connection.parsedStatements[guard.name!] !== guard.text) return otherStatement(guard.name);
    this.#shape = known === undefined ? undefined : this.#shapes.get(name!);
    // Values are converted first: what cannot be sent must leave nothing half said.
    let prepared: SentValue[];
    let guarding: Execution | undefined;
    try {
      prepared = values.map(utils.prepareValue);
      if (guard) guarding = { name: guard.name!, values: guard.values.map(utils.prepareValue) };
    } catch (error) {
      return error as Error;
    }
    if (this.#shape) {
      const own: Execution = { name: name!, values: prepared };
      // As the driver does: a socket that is closing tells the client by itself.
      if (connection.stream.writable)
        connection.stream.write(guarding ? encodeExecutions(guarding, own) : encodeExecutions(own));
      return null;
    }
    if (guarding) return new Error('a statement that is not prepared cannot be paired');
    connection.stream.cork();
    try {
      if (known === undefined) {
        connection.parse({ text, name });
        if (name !== undefined) connection.submittedNamedStatements[name] = text;
      }
      connection.bind({ statement: name, values: prepared });
      connection.describe({ type: 'P', name: '' });
      connection.execute({});
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    const names = fields.map((field) => field.name);
    const empty: Row = {};
    for (const name of names) empty[name] = null;
    const parsers = fields.map((field) => this.#types.getTypeParser(field.dataTypeID, 'text') as ParseValue);
    this.#shape = { names, parsers, empty };
    if (this.name !== undefined) this.#shapes.set(this.name, this.#shape);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#failure !== undefined) return;
    const { names, parsers, empty } = this.#guard ? this.#shapes.get(this.#guard.name!)! : this.#shape!;
    const row: Row = { ...empty };
    try {
      for (let index = 0; index < names.length; index++) {
        const text = fields[index]!;
        if (text !== null) row[names[index]!] = parsers[index]!(text);
      }
    } catch (error) {
      this.#failure = error;
      return;
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#tag = text;
    const guard = this.#guard;
    if (!guard) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#guard = undefined;
    if (this.#failure !== undefined) return;
    try {
      guard.accept(rows);
    } catch (error) {
      this.#failure = error;
    }
  }

  handleEmptyQuery(): void {}

  handleCopyInResponse(connection: DriverConnection): void {
    connection.sendCopyFail('no data is sent with a statement');
  }

  handleCopyData(): void {}

  handleError(error: unknown): void {
    this.#reject(this.#failure ?? error);
  }

  handleReadyForQuery(): void {
    if (this.#failure !== undefined) {
      this.#reject(this.#failure);
      return;
    }
    const space = this.#tag.indexOf(' ');
    // The last word, where it is a number: `INSERT 0 1`, `SELECT 3`, `CREATE TABLE`.
    const counted = space < 0 ? 0 : Number(this.#tag.slice(this.#tag.lastIndexOf(' ') + 1));
    this.#resolve({
      rows: this.#rows as R[],
      rowCount: Number.isNaN(counted) ? 0 : counted,
      command: space < 0 ? this.#tag : this.#tag.slice(0, space),
    });
  }
}

function otherStatement(name: string | undefined): Error {
  return new Error(`the prepared statement ${name} is another one`);
}
