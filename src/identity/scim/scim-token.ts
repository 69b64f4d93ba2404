import { hashTokenText, newTokenText } from '../tokens/token-text.ts';

/** Of a kind of their own, so that a token for programs is never one for directories: `fhs_[0-9A-Za-z]{36}`, checksum last. */
export const scimTokenPattern = /^fhs_[0-9A-Za-z]{36}$/;

export function newScimToken(): string {
  return newTokenText('fhs_');
}

/** See `hashTokenText`. */
export function hashScimToken(text: string): Buffer | undefined {
  return hashTokenText(scimTokenPattern, text);
}
