import type { Log } from '#src/kernel/index.ts';
import { createOutgoing, type Outgoing } from '#src/outgoing/index.ts';
import { readAuthorities } from './authorities.ts';
import type { Config } from './config.ts';

/** The door to servers that tenants name, as the operator set it. Reads the file of authorities: call it before the process drops its rights. */
export function outgoingOf({ outgoing: { allow, caFile } }: Pick<Config, 'outgoing'>, log: Log): Outgoing {
  return createOutgoing({
    allow,
    ca: caFile === undefined ? undefined : readAuthorities('FREEHOLD_OUTGOING_CA_FILE', caFile),
    log,
  });
}
