import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import type { RegionConfig } from './config.ts';

/** The regions of the configuration. Nothing is touched before the first call. */
export function openRegions(
  regions: readonly RegionConfig[],
  options: { readonly initialise?: (region: string) => boolean } = {},
): RegionStore[] {
  return regions.map(({ region, location }) =>
    createDiskRegion({ region, root: location, initialise: options.initialise?.(region) ?? false }),
  );
}
