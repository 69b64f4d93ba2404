import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDiskRegion } from './disk-region.ts';
import { requireRegionName } from './names.ts';
import type { RegionStore } from './region.ts';
import { regionErrors } from './region-errors.ts';

/** Where a region lies, as somebody wrote it in the configuration. */
export type RegionAddress =
  | { readonly kind: 'folder'; readonly root: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string | undefined;
      /** URL of the service; undefined: Amazon's. */
      readonly endpoint: string | undefined;
      /** What the service calls its region. */
      readonly location: string | undefined;
      readonly pathStyle: boolean | undefined;
    };

export interface RegionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface OpenRegionOptions {
  /** Name of the region, for example `eu_west`; lower-case letters, digits and `_`. */
  readonly region: string;
  /** For S3; never part of the address, which is shown and logged. */
  readonly credentials?: RegionCredentials;
  /** Makes the empty place the region. Only when the region is set up, never on an ordinary start. Default: false. */
  readonly initialise?: boolean;
}

/**
 * `file:///path`, or `s3://bucket/prefix?endpoint=https://host&region=eu-central-1&path_style=true` (all parameters optional; without an endpoint
 * Amazon's). Throws FH_REGION_REFUSED that says what is wrong with it, without repeating what might be a secret.
 */
export function parseRegionAddress(region: string, text: string): RegionAddress {
  const refuse = (detail: string) =>
    regionErrors.FH_REGION_REFUSED({
      detail: `region ${region}: ${detail}`,
      hint: 'Write file:///PATH or s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION.',
    });
  if (!URL.canParse(text)) throw refuse('its address is not a URL');
  const url = new URL(text);
  if (url.username || url.password)
    throw refuse('credentials do not belong in its address; they have settings of their own');
  if (url.hash) throw refuse('its address has a #');
  if (url.protocol === 'file:') return { kind: 'folder', root: folderOf(url, refuse) };
  if (url.protocol !== 's3:') throw refuse('its address is neither file: nor s3:');
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || url.port)
    throw refuse('its address has no valid name of a bucket');
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  if (!/^[\w.-]*(?:\/[\w.-]+)*$/.test(prefix)) throw refuse('its prefix may hold letters, digits, and _ . - /');
  for (const [name, value] of url.searchParams) {
    if (!['endpoint', 'region', 'path_style'].includes(name))
      throw refuse(`there is no parameter ${name.slice(0, 40)}`);
    if (url.searchParams.getAll(name).length > 1) throw refuse(`${name} is given twice`);
    if (value === '') throw refuse(`${name} is empty`);
  }
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !isEndpoint(endpoint))
    throw refuse('the endpoint is not an https:// URL of a host (http:// on this machine only)');
  const location = url.searchParams.get('region') ?? undefined;
  if (location !== undefined && !/^[\w-]{1,64}$/.test(location)) throw refuse('the parameter region is not a name');
  const pathStyle = url.searchParams.get('path_style') ?? undefined;
  if (pathStyle !== undefined && pathStyle !== 'true' && pathStyle !== 'false')
    throw refuse('path_style is true or false');
  return {
    kind: 's3',
    bucket,
    prefix: prefix || undefined,
    endpoint,
    location,
    pathStyle: pathStyle === undefined ? undefined : pathStyle === 'true',
  };
}

/**
 * Opens a region by its address. Touches nothing yet: a region that is away, or refuses us, says so at the first call.
 * The S3 client is loaded only for who needs it.
 */
export async function openRegion(address: string, options: OpenRegionOptions): Promise<RegionStore> {
  const { credentials, initialise } = options;
  const region = requireRegionName(options.region);
  const place = parseRegionAddress(region, address);
  if (place.kind === 'folder') return createDiskRegion({ region, root: place.root, initialise });
  if (!credentials?.accessKeyId || !credentials.secretAccessKey)
    throw regionErrors.FH_REGION_REFUSED({
      detail: `region ${region}: an S3 region needs an access key`,
      hint: 'Set the access key id and the secret access key of the region.',
    });
  const { createS3Region } = await import('./s3-region.ts');
  const { kind: _, ...where } = place;
  const { accessKeyId, secretAccessKey } = credentials;
  return createS3Region({ region, ...where, accessKeyId, secretAccessKey, initialise });
}

function folderOf(url: URL, refuse: (detail: string) => Error): string {
  if (url.hostname) throw refuse('a file: address has three slashes and no host');
  if (url.search) throw refuse('a file: address has no parameters');
  const root = fileURLToPath(url);
  if (!isAbsolute(root) || root === '/') throw refuse('its folder is not one for a region');
  return root;
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, pathname, search, hash } = new URL(text);
  // Unencrypted only where nobody is in between.
  const isOnThisMachine = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  const isEncrypted = protocol === 'https:' || (protocol === 'http:' && isOnThisMachine);
  return isEncrypted && !username && !password && pathname === '/' && !search && !hash;
}
