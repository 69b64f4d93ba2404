import { isId } from '#src/kernel/index.ts';
import type { KeyId, KeyOwner } from './types.ts';

/** Versions count from 1 and have at most four digits; no zero in front, so that one version has one name. */
const version = /^[1-9]\d{0,3}$/;
export const lastVersion = 9_999;

export function isKeyOwner(value: unknown): value is KeyOwner {
  return value === 'installation' || isId('ten', value) || isId('clu', value);
}

/** `ten_….2` → its parts; throws TypeError on anything else. */
export function parseKeyId(keyId: string): { owner: KeyOwner; version: number } {
  const dot = keyId.lastIndexOf('.');
  const [owner, digits] = [keyId.slice(0, Math.max(0, dot)), keyId.slice(dot + 1)];
  if (!isKeyOwner(owner) || !version.test(digits)) throw new TypeError('not the id of a key');
  return { owner, version: Number(digits) };
}

export function isKeyId(value: unknown): value is KeyId {
  if (typeof value !== 'string') return false;
  const dot = value.lastIndexOf('.');
  return isKeyOwner(value.slice(0, Math.max(0, dot))) && version.test(value.slice(dot + 1));
}

export function formatKeyId(owner: KeyOwner, version: number): KeyId {
  return `${owner}.${version}`;
}

/** `kind-key`, owner and version: what a wrapped key is authenticated with, so that one moved elsewhere does not open. */
export function wrapContext(owner: KeyOwner, version: number): string {
  const kind = owner === 'installation' ? 'installation' : isId('ten', owner) ? 'tenant' : 'cluster';
  return `${kind}-key ${owner} ${version}`;
}
