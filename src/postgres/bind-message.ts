/** Execute of the unnamed portal without a row limit (PostgreSQL manual, "Message Formats"). */
const execute = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const sync = Buffer.from([0x53, 0, 0, 0, 4]);

export type SentValue = string | Buffer | null;

/** One run of a prepared statement. */
export interface Execution {
  readonly name: string;
  readonly values: readonly SentValue[];
}

/**
 * Bind and Execute of each prepared statement, then one Sync: one buffer, so one write to the socket, and one implicit transaction for all of
 * them. Values are text or bytes (sent as binary) or null; results are text.
 */
export function encodeExecutions(...executions: readonly Execution[]): Buffer {
  let size = sync.length;
  for (const execution of executions) size += 1 + bindLength(execution) + execute.length;
  const buffer = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const execution of executions) {
    offset = writeBind(buffer, offset, execution);
    offset += execute.copy(buffer, offset);
  }
  sync.copy(buffer, offset);
  return buffer;
}

/** Without the byte that says which message it is. */
function bindLength({ name, values }: Execution): number {
  let length = 4 + 1 + Buffer.byteLength(name) + 1 + 2 + 2 * values.length + 2 + 4 * values.length + 2;
  for (const value of values) length += lengthOf(value);
  return length;
}

function lengthOf(value: SentValue): number {
  if (value === null) return 0;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

function writeBind(buffer: Buffer, start: number, { name, values }: Execution): number {
  buffer[start] = 0x42;
  // Patched at the end, when it is known.
  let offset = start + 5;
  // The unnamed portal.
  buffer[offset++] = 0;
  offset += buffer.write(name, offset);
  buffer[offset++] = 0;
  offset = buffer.writeInt16BE(values.length, offset);
  for (const value of values) offset = buffer.writeInt16BE(value instanceof Buffer ? 1 : 0, offset);
  offset = buffer.writeInt16BE(values.length, offset);
  for (const value of values) {
    if (value === null) {
      offset = buffer.writeInt32BE(-1, offset);
      continue;
    }
    const size = typeof value === 'string' ? buffer.write(value, offset + 4) : value.copy(buffer, offset + 4);
    buffer.writeInt32BE(size, offset);
    offset += 4 + size;
  }
  // No formats: every column as text.
  offset = buffer.writeInt16BE(0, offset);
  buffer.writeInt32BE(offset - start - 1, start + 1);
  return offset;
}
