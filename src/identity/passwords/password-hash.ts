import { argon2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { randomBytes } from '#src/kernel/index.ts';

const derive = promisify(argon2);

interface Argon2Cost {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane, the least it advises for argon2id. */
export const currentCost: Argon2Cost = { memoryKiB: 19_456, passes: 2, parallelism: 1 };
const saltBytes = 16;
const tagBytes = 32;

/** Longest password, in bytes of UTF-8 after normalisation. Longer ones are refused, never cut. */
export const maxPasswordBytes = 1024;

/**
 * One form per password, whatever keyboard typed it (NIST SP 800-63B-4, 3.1.1.2: Unicode is normalised before hashing).
 * Undefined: it is too long or no text, so it cannot be anybody's password.
 */
export function normalisePassword(password: string): string | undefined {
  // The raw length comes first: normalising a megabyte would be work done for an attacker.
  if (Buffer.byteLength(password) > maxPasswordBytes || !password.isWellFormed()) return undefined;
  const normalised = password.normalize('NFKC');
  return Buffer.byteLength(normalised) > maxPasswordBytes ? undefined : normalised;
}

/** PHC string of argon2id: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`. */
export async function hashPassword(normalised: string, cost: Argon2Cost = currentCost): Promise<string> {
  const salt = randomBytes(saltBytes);
  return formatPhc(cost, salt, await deriveTag(normalised, salt, cost, tagBytes));
}

export async function verifyPassword(
  normalised: string,
  phc: string,
): Promise<{ matches: boolean; needsRehash: boolean }> {
  const { cost, salt, tag } = parsePhc(phc);
  const matches = timingSafeEqual(await deriveTag(normalised, salt, cost, tag.length), tag);
  const { memoryKiB, passes, parallelism } = currentCost;
  const isCurrent = cost.memoryKiB === memoryKiB && cost.passes === passes && cost.parallelism === parallelism;
  return { matches, needsRehash: !isCurrent };
}

/** The hash of no password: costs as much to check as a real one, so that an unknown user takes as long as a known one. */
export function newDummyHash(): string {
  return formatPhc(currentCost, randomBytes(saltBytes), randomBytes(tagBytes));
}

function deriveTag(normalised: string, nonce: Buffer, cost: Argon2Cost, tagLength: number): Promise<Buffer> {
  return derive('argon2id', {
    message: Buffer.from(normalised, 'utf8'),
    nonce,
    memory: cost.memoryKiB,
    passes: cost.passes,
    parallelism: cost.parallelism,
    tagLength,
  });
}

function formatPhc(cost: Argon2Cost, salt: Buffer, tag: Buffer): string {
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=${cost.memoryKiB},t=${cost.passes},p=${cost.parallelism}$${text(salt)}$${text(tag)}`;
}

/**
 * What checking a hash may cost at most. Ours cost less; a hash comes from elsewhere with an imported archive, and its author must not
 * choose how much memory and time a sign-in takes from everybody.
 */
const maxCost: Argon2Cost = { memoryKiB: 65_536, passes: 4, parallelism: 4 };

const phcShape =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

function parsePhc(phc: string): { cost: Argon2Cost; salt: Buffer; tag: Buffer } {
  const match = phcShape.exec(phc);
  if (!match) throw new Error('malformed password hash in the database');
  const [, memory, passes, lanes, salt, tag] = match;
  const cost = { memoryKiB: Number(memory), passes: Number(passes), parallelism: Number(lanes) };
  if (cost.memoryKiB > maxCost.memoryKiB || cost.passes > maxCost.passes || cost.parallelism > maxCost.parallelism)
    throw new Error('a password hash in the database costs more than is allowed');
  return {
    cost,
    salt: Buffer.from(salt!, 'base64'),
    tag: Buffer.from(tag!, 'base64'),
  };
}
