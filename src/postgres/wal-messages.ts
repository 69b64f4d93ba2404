import type { Lsn } from '#src/kernel/index.ts';

/** A stretch of WAL as the server flushed it, or a sign of life. */
export type WalMessage =
  | {
      readonly kind: 'data';
      /** Place of the first byte of `data`. */
      readonly start: Lsn;
      readonly data: Buffer;
      /** End of the WAL that the server has flushed. */
      readonly walEnd: Lsn;
    }
  | {
      readonly kind: 'keepalive';
      readonly walEnd: Lsn;
      /** The server ends the connection unless it hears a status soon. */
      readonly replyRequested: boolean;
    };

/** What a receiver has, each exclusive. A commit with `synchronous_commit = on` waits for `flush`; the slot keeps what lies behind it. */
export interface ReceiverStatus {
  readonly write: Lsn;
  readonly flush: Lsn;
  readonly apply: Lsn;
}

/** PostgreSQL counts microseconds from 2000-01-01. */
const epochOffsetMs = 946_684_800_000;
const dataHeaderBytes = 25;

/**
 * Parses one CopyData message of the streaming replication protocol (PostgreSQL manual, "Streaming Replication Protocol").
 * The bytes are copied: the driver uses its buffer again. Throws on a message that is not of physical replication.
 */
export function parseWalMessage(bytes: Buffer): WalMessage {
  if (bytes[0] === 0x77 && bytes.length >= dataHeaderBytes) {
    return {
      kind: 'data',
      start: bytes.readBigUInt64BE(1),
      walEnd: bytes.readBigUInt64BE(9),
      data: Buffer.from(bytes.subarray(dataHeaderBytes)),
    };
  }
  if (bytes[0] === 0x6b && bytes.length === 18)
    return { kind: 'keepalive', walEnd: bytes.readBigUInt64BE(1), replyRequested: bytes[17] === 1 };
  throw new Error(`not a message of physical replication: ${bytes.length} bytes, type ${bytes[0]}`);
}

/** Standby status update. */
export function encodeStatus({ write, flush, apply }: ReceiverStatus, nowMs: number): Buffer {
  const bytes = Buffer.alloc(34);
  bytes[0] = 0x72;
  bytes.writeBigUInt64BE(write, 1);
  bytes.writeBigUInt64BE(flush, 9);
  bytes.writeBigUInt64BE(apply, 17);
  bytes.writeBigInt64BE(BigInt(Math.trunc(nowMs) - epochOffsetMs) * 1000n, 25);
  return bytes;
}
