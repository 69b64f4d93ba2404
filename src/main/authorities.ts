import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { SettingName } from './config.ts';
import { mainErrors } from './errors.ts';

/** The certificate authorities of a PEM file that the operator named in a setting. Throws FH_SETTING_INVALID. */
export function readAuthorities(setting: SettingName, path: string): string {
  try {
    const pem = readFileSync(path, 'utf8');
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no certificate in it');
    createSecureContext({ ca: pem });
    return pem;
  } catch (cause) {
    throw mainErrors.FH_SETTING_INVALID({
      detail: `${setting}: ${path} is no readable PEM file of certificates`,
      cause,
    });
  }
}
