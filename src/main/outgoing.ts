import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Log } from '#src/kernel/index.ts';
import { createOutgoing, type Outgoing } from '#src/outgoing/index.ts';
import type { Config } from './config.ts';
import { mainErrors } from './errors.ts';

/** The door to servers that tenants name, as the operator set it. Reads the file of authorities: call it before the process drops its rights. */
export function outgoingOf({ outgoing: { allow, caFile } }: Pick<Config, 'outgoing'>, log: Log): Outgoing {
  return createOutgoing({ allow, ca: caFile === undefined ? undefined : readAuthorities(caFile), log });
}

function readAuthorities(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8');
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no certificate in it');
    createSecureContext({ ca: pem });
    return pem;
  } catch (cause) {
    throw mainErrors.FH_SETTING_INVALID({
      detail: `FREEHOLD_OUTGOING_CA_FILE: ${path} is no readable PEM file of certificates`,
      cause,
    });
  }
}
