/** Collects values while a statement is put together; values become $1…, never text of the statement. */
export interface SqlValues {
  readonly values: unknown[];
  /** Registers a value and gives its placeholder. */
  add(value: unknown): string;
}

export function createSqlValues(...first: unknown[]): SqlValues {
  const values = [...first];
  return {
    values,
    add(value) {
      values.push(value);
      return `$${values.length}`;
    },
  };
}
