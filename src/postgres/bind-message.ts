/** Execute without a row limit, and Sync (PostgreSQL manual, "Message Formats"). */
const executeAndSync = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);

export type SentValue = string | Buffer | null;

/**
 * Bind, Execute and Sync of a prepared statement in one buffer, so that a query is one write to the socket. Values are text or bytes (sent
 * as binary) or null; results are text.
 */
export function encodeExecution(statementName: string, values: readonly SentValue[]): Buffer {
  const count = values.length;
  const lengths: number[] = new Array(count);
  const nameLength = Buffer.byteLength(statementName);
  let bindLength = 4 + 1 + nameLength + 1 + 2 + 2 * count + 2 + 4 * count + 2;
  for (let index = 0; index < count; index++) {
    const value = values[index]!;
    const length = value === null ? 0 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    lengths[index] = length;
    bindLength += length;
  }
  const buffer = Buffer.allocUnsafe(1 + bindLength + executeAndSync.length);
  buffer[0] = 0x42;
  let offset = buffer.writeInt32BE(bindLength, 1);
  // The unnamed portal.
  buffer[offset++] = 0;
  offset += buffer.write(statementName, offset);
  buffer[offset++] = 0;
  offset = buffer.writeInt16BE(count, offset);
  for (const value of values) offset = buffer.writeInt16BE(value instanceof Buffer ? 1 : 0, offset);
  offset = buffer.writeInt16BE(count, offset);
  for (let index = 0; index < count; index++) {
    const value = values[index]!;
    if (value === null) {
      offset = buffer.writeInt32BE(-1, offset);
      continue;
    }
    offset = buffer.writeInt32BE(lengths[index]!, offset);
    offset += typeof value === 'string' ? buffer.write(value, offset) : value.copy(buffer, offset);
  }
  // No formats: every column as text.
  offset = buffer.writeInt16BE(0, offset);
  executeAndSync.copy(buffer, offset);
  return buffer;
}
