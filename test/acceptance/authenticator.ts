/** Somebody's app for codes (RFC 6238), as it is set up from what the page shows. */
import { createHmac } from 'node:crypto';
import decodeQR from 'qr/decode.js';

export class Authenticator {
  readonly #secret: Buffer;
  #lastStep = 0;

  /** @param key base32, as shown beside the QR code */
  constructor(key: string) {
    const bits = [...key].map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0'));
    this.#secret = Buffer.from(
      bits
        .join('')
        .match(/.{8}/g)!
        .map((byte) => Number.parseInt(byte, 2)),
    );
  }

  /** A code that was not shown before: of the present, or of the step to come, which is good already. */
  code(): string {
    this.#lastStep = Math.max(this.#lastStep + 1, Math.floor(Date.now() / 30_000));
    return this.#codeOf(this.#lastStep);
  }

  /** None of those that are good about now. */
  wrongCode(): string {
    const present = Math.floor(Date.now() / 30_000);
    const good = [-2, -1, 0, 1, 2].map((offset) => this.#codeOf(present + offset));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !good.includes(code))!;
  }

  #codeOf(step: number): string {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const mac = createHmac('sha1', this.#secret).update(counter).digest();
    const number = mac.readUInt32BE(mac[19]! & 15) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, '0');
  }
}

/** What a camera reads: the modules that the picture draws, `M<x> <y>h1v1h-1z` each, on a square of so many. */
export function readQrCode(path: string, modules: number): string {
  const scale = 4;
  const size = modules * scale;
  const data = new Uint8Array(size * size * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g))
    for (let row = 0; row < scale; row++)
      for (let column = 0; column < scale; column++) {
        const at = ((Number(y) * scale + row) * size + Number(x) * scale + column) * 4;
        data.fill(0, at, at + 3);
      }
  return decodeQR({ width: size, height: size, data });
}
