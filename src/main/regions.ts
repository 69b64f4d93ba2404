import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { openRegion, type RegionCredentials, type RegionStore } from '#src/objects/index.ts';
import type { RegionConfig } from './config.ts';
import { mainErrors } from './errors.ts';

/** Access keys of the regions that need some, by region. To be read before a process gives up root: the files may be root's alone. */
export type RegionKeys = ReadonlyMap<string, RegionCredentials>;

export function readRegionKeys(regions: readonly RegionConfig[]): RegionKeys {
  const keys = new Map<string, RegionCredentials>();
  for (const { region, keyFile } of regions) if (keyFile) keys.set(region, readKeyFile(region, keyFile));
  return keys;
}

/** The regions of the configuration. Nothing is touched before the first call. */
export async function openRegions(
  regions: readonly RegionConfig[],
  keys: RegionKeys,
  options: { readonly initialise?: (region: string) => boolean } = {},
): Promise<RegionStore[]> {
  return Promise.all(
    regions.map(({ region, location }) => {
      const credentials = keys.get(region);
      return openRegion(location.includes('://') ? location : pathToFileURL(location).href, {
        region,
        ...(credentials && { credentials }),
        initialise: options.initialise?.(region) ?? false,
      });
    }),
  );
}

/** The content is a secret: no error may quote it. */
function readKeyFile(region: string, file: string): RegionCredentials {
  const refuse = (detail: string, cause?: unknown) =>
    mainErrors.FH_SETTING_INVALID({
      detail: `FREEHOLD_REGION_${region.toUpperCase()}_KEY_FILE: ${detail}`,
      hint: 'One line: ACCESS_KEY_ID:SECRET_ACCESS_KEY',
      cause,
    });
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw refuse(`${file} cannot be read`, error);
  }
  // The last one: the id may hold one (OpenStack Swift's `account:user`), no secret does.
  const colon = text.lastIndexOf(':');
  const [accessKeyId, secretAccessKey] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon < 1 || !secretAccessKey || /\s/.test(text)) throw refuse(`${file} does not hold an access key`);
  return { accessKeyId, secretAccessKey };
}
