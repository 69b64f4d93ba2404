import type { ObjectName, RegionStore } from '#src/objects/index.ts';

/** A region that remembers what was read last, so that an object that cannot be opened is named; it can only be read. */
export interface TracedRegion extends RegionStore {
  lastRead(): ObjectName | undefined;
}

export function traceRegion(region: RegionStore): TracedRegion {
  let last: ObjectName | undefined;
  const refuse = async (): Promise<never> => {
    throw new TypeError('a verification writes nothing into a region');
  };
  return {
    region: region.region,
    get: (name, options) => {
      last = name;
      return region.get(name, options);
    },
    stat: (name) => region.stat(name),
    list: (prefix, options) => region.list(prefix, options),
    put: refuse,
    remove: refuse,
    removeUnfinished: refuse,
    lastRead: () => last,
  };
}
