import { randomBytes as cryptoRandomBytes, randomFillSync } from 'node:crypto';

/** `length` bytes from the operating system's generator. The only door to random numbers, so that tests can find every use. */
export function randomBytes(length: number): Buffer {
  return cryptoRandomBytes(length);
}

const block = Buffer.alloc(4_096);
let used = block.length;

/** Random bytes for names and ids, taken from a block because every call of the generator costs microseconds. Not for keys and tokens. */
export function randomBytesForNames(length: number): Uint8Array {
  if (length > block.length) return cryptoRandomBytes(length);
  if (used + length > block.length) {
    randomFillSync(block);
    used = 0;
  }
  used += length;
  return block.subarray(used - length, used);
}

/** A number in [0, 1) for jitter; never for secrets. */
export function jitter(): number {
  return Math.random();
}
