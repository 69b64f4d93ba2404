import { hashTokenText, newTokenText } from './token-text.ts';

/** What secret scanners look for: `fhp_[0-9A-Za-z]{36}`; the last six are the checksum of all before them. */
export const apiTokenPrefix = 'fhp_';
export const apiTokenPattern = /^fhp_[0-9A-Za-z]{36}$/;

/** A new token: `fhp_`, 30 random characters of base62, and the CRC-32 of these 34 characters in base62. */
export function newApiToken(): string {
  return newTokenText(apiTokenPrefix);
}

/** See `hashTokenText`. */
export function hashApiToken(text: string): Buffer | undefined {
  return hashTokenText(apiTokenPattern, text);
}
