import { createHmac } from 'node:crypto';
import type { Id } from '#src/kernel/index.ts';
import { hashToken, tokenBytes } from './cookie.ts';

/**
 * What the session cookie carries. The token is what proves; session id and generation, which are authenticated with it, tell a key that was
 * replaced long ago from one that nobody ever had (docs/decisions/0019).
 */
export interface SessionKey {
  readonly token: Buffer;
  readonly sessionId: Id<'ses'>;
  /** How many keys the session had before this one. */
  readonly generation: number;
}

/**
 * The times of rotation, as the statements count them on the database's clock. A key in steady use is replaced before it is five minutes old.
 * `graceSeconds` begin when the successor is first used, so a response that is lost ends nothing. `settleSeconds` pass between the first use of a
 * key and its own replacement. Invariant: 2 × grace ≤ settle, so an answer that re-sends a successor cannot come after the next one.
 * check_session has them as literals (migrations/tenant/0007); rotation.test.ts holds them together.
 */
export const rotation = { everySeconds: 240, graceSeconds: 30, settleSeconds: 60 } as const;

const idLength = 26;
export const sessionKeyBytes = tokenBytes + idLength + 4;

export function encodeSessionKey({ token, sessionId, generation }: SessionKey): Buffer {
  const bytes = Buffer.alloc(sessionKeyBytes);
  token.copy(bytes);
  bytes.write(sessionId.slice('ses_'.length), tokenBytes, 'latin1');
  bytes.writeUInt32BE(generation, tokenBytes + idLength);
  return bytes;
}

/** @param bytes opened, so made here: `sessionKeyBytes` long */
export function decodeSessionKey(bytes: Buffer): SessionKey {
  return {
    token: bytes.subarray(0, tokenBytes),
    sessionId: `ses_${bytes.toString('latin1', tokenBytes, tokenBytes + idLength)}` as Id<'ses'>,
    generation: bytes.readUInt32BE(tokenBytes + idLength),
  };
}

export function hashOf({ token }: SessionKey): Buffer {
  return hashToken(token);
}

/**
 * The key that follows, the same for everybody who holds this one: whoever loses a race computes what the winner stored, and needs no memory in
 * common with it. Neither the tenant's key nor the tables alone are enough for it.
 */
export function successorOf(cookieKey: Uint8Array, key: SessionKey): SessionKey {
  const successorKey = createHmac('sha256', cookieKey).update('freehold session successor 1').digest();
  const token = createHmac('sha256', successorKey).update(encodeSessionKey(key)).digest();
  return { token, sessionId: key.sessionId, generation: key.generation + 1 };
}
