import type { ObjectName } from './types.ts';

const namePattern = /^[a-z0-9_]{1,128}(?:\/[a-z0-9_]{1,128})*$/;
const regionPattern = /^[a-z][a-z0-9_]{0,31}$/;

/** Whether a text is the name of an object. Files of our own have a dot in their names, so that they never are. */
export function isObjectName(text: string): text is ObjectName {
  return namePattern.test(text);
}

/** The name itself; throws TypeError on anything else. */
export function requireObjectName(name: string): ObjectName {
  if (!isObjectName(name)) throw new TypeError(`not a name of an object: ${name}`);
  return name;
}

/** A prefix to list by: empty, or the beginning of a name up to a `/`; throws TypeError on anything else. */
export function requirePrefix(prefix: string): string {
  if (prefix !== '' && !(prefix.endsWith('/') && isObjectName(prefix.slice(0, -1))))
    throw new TypeError(`not a prefix of names: ${prefix}`);
  return prefix;
}

/** The name of a region, for example `eu_west`; throws TypeError on anything else. */
export function requireRegionName(region: string): string {
  if (!regionPattern.test(region)) throw new TypeError(`not a name of a region: ${region}`);
  return region;
}
