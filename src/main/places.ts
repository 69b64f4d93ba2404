import type { Places } from '#src/tenants/index.ts';
import type { Config } from './config.ts';

/** Every store that data of a tenant is written to: this machine, and the regions where there are any. */
export function placesOf({ place, regions, backups, externalDatabase }: Config): Places {
  return { home: place, regions: backups === 'on' && !externalDatabase ? regions : [] };
}
