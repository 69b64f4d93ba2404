import { randomBytes as cryptoRandomBytes } from 'node:crypto';

/** `length` bytes from the operating system's generator. The only door to random numbers, so that tests can find every use. */
export function randomBytes(length: number): Buffer {
  return cryptoRandomBytes(length);
}

/** A number in [0, 1) for jitter; never for secrets. */
export function jitter(): number {
  return Math.random();
}
