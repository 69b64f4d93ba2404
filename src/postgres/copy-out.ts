import pg from 'pg';

interface DriverQuery {
  callback: ((error: Error | null) => void) | undefined;
}
const { Query } = pg as unknown as {
  Query: new (text: string, callback: (error: Error | null) => void) => DriverQuery;
};

/** `COPY … TO STDOUT`: each row as the server sends it, one message a row (PostgreSQL manual, "COPY Operations" of the protocol). */
export class CopyOut extends Query {
  readonly #onRow: (row: Buffer) => void;
  #failure: unknown;

  /** @param onRow its bytes are good until it returns */
  constructor(text: string, onRow: (row: Buffer) => void, done: (error: unknown) => void) {
    super(text, (error) => done(error ?? this.#failure));
    this.#onRow = onRow;
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (this.#failure !== undefined) return;
    try {
      this.#onRow(chunk);
    } catch (error) {
      this.#failure = error;
    }
  }
}
