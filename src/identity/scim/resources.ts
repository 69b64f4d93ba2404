import { createHash } from 'node:crypto';
import { groupSchema, userSchema } from './attributes.ts';
import type { Resource } from './filter.ts';
import type { MemberRow, ScimGroupRow, ScimUserRow } from './scim-sql.ts';

/** @param base `https://TENANT/-/scim/v2` */
export function describeUser(user: ScimUserRow, base: string): Resource {
  const content = {
    schemas: [userSchema],
    id: user.userId,
    ...optional('externalId', user.externalId),
    userName: user.userName,
    name: {
      formatted: user.name,
      ...optional('givenName', user.givenName),
      ...optional('familyName', user.familyName),
    },
    displayName: user.name,
    active: user.state === 'active',
    emails: [{ value: user.email, type: 'work', primary: true }],
    groups: user.groups.map(({ value, display }) => ({ value, display, $ref: `${base}/Groups/${value}` })),
  };
  return {
    ...content,
    meta: {
      resourceType: 'User',
      created: user.createdAt.toISOString(),
      location: `${base}/Users/${user.userId}`,
      version: versionOf(content),
    },
  };
}

/** @param members undefined: left out, as the client asked */
export function describeGroup(
  group: ScimGroupRow,
  members: readonly Pick<MemberRow, 'userId' | 'display'>[] | undefined,
  base: string,
): Resource {
  const content = {
    schemas: [groupSchema],
    id: group.groupId,
    ...optional('externalId', group.externalId),
    displayName: group.displayName,
  };
  return {
    ...content,
    ...(members && {
      members: members.map(({ userId, display }) => ({
        value: userId,
        display,
        type: 'User',
        $ref: `${base}/Users/${userId}`,
      })),
    }),
    meta: {
      resourceType: 'Group',
      created: group.createdAt.toISOString(),
      lastModified: group.changedAt.toISOString(),
      location: `${base}/Groups/${group.groupId}`,
      // Changes of members move changedAt.
      version: versionOf([content, group.changedAt.getTime()]),
    },
  };
}

/** A weak tag (RFC 7644, 3.14): of what is shown, so that a change on our own pages is another version, too. */
function versionOf(content: unknown): string {
  return `W/"${createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)}"`;
}

export function versionIn(resource: Resource): string {
  return (resource.meta as { version: string }).version;
}

/** Whether one of the tags in `If-Match` or `If-None-Match` is this version. RFC 9110, 8.8.3.2: weakly compared. */
export function namesVersion(header: string, version: string): boolean {
  const plain = (tag: string) => tag.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((tag) => plain(tag) === plain(version));
}

function optional(name: string, value: string | null): Record<string, string> {
  return value === null ? {} : { [name]: value };
}

/** What `attributes` or `excludedAttributes` leave of a resource (RFC 7644, 3.9); `id` and `schemas` always. Parts of attributes count as the whole. */
export function project(resource: Resource, { attributes, excluded }: Projection): Resource {
  const entries = Object.entries(resource).filter(([name]) => {
    const key = name.toLowerCase();
    if (key === 'id' || key === 'schemas') return true;
    return attributes ? attributes.has(key) : !excluded.has(key);
  });
  return Object.fromEntries(entries);
}

export interface Projection {
  /** In lower case; undefined: all. */
  readonly attributes: ReadonlySet<string> | undefined;
  readonly excluded: ReadonlySet<string>;
}

export function parseProjection(attributes: string | undefined, excluded: string | undefined): Projection {
  const names = (text: string) =>
    new Set(
      text
        .toLowerCase()
        .split(',')
        .map(
          (name) =>
            name
              .trim()
              .replace(/^urn:.*:(?=[^:]*$)/, '')
              .split('.')[0]!,
        )
        .filter(Boolean),
    );
  return { attributes: attributes ? names(attributes) : undefined, excluded: names(excluded ?? '') };
}
