/** What can be named in filters and paths: everything else is refused. Names of attributes are case-insensitive (RFC 7643, 2.1). */
export interface Attribute {
  /** As it is written in resources. */
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'dateTime' | 'complex';
  /** Strings are compared as they are. Default false. */
  readonly caseExact?: boolean;
  readonly multiValued?: boolean;
  /** By name in lower case; only of complex ones. */
  readonly sub?: Attributes;
}

/** By name in lower case. */
export type Attributes = ReadonlyMap<string, Attribute>;

export const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const groupSchema = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const enterpriseSchema = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

function attributes(...list: readonly Attribute[]): Attributes {
  return new Map(list.map((attribute) => [attribute.name.toLowerCase(), attribute]));
}
const exact = (name: string): Attribute => ({ name, type: 'string', caseExact: true });
const text = (name: string): Attribute => ({ name, type: 'string' });
const boolean = (name: string): Attribute => ({ name, type: 'boolean' });
const moment = (name: string): Attribute => ({ name, type: 'dateTime' });
const complex = (name: string, ...sub: readonly Attribute[]): Attribute => ({
  name,
  type: 'complex',
  sub: attributes(...sub),
});
const many = (name: string, ...sub: readonly Attribute[]): Attribute => ({
  ...complex(name, ...sub),
  multiValued: true,
});

/** When a user was last changed is not kept: the version tells whether. */
const userMeta = complex('meta', exact('resourceType'), moment('created'), exact('location'));
const groupMeta = complex('meta', exact('resourceType'), moment('created'), moment('lastModified'), exact('location'));

export const userAttributes: Attributes = attributes(
  exact('id'),
  exact('externalId'),
  text('userName'),
  text('displayName'),
  complex('name', text('formatted'), text('givenName'), text('familyName')),
  boolean('active'),
  many('emails', text('value'), text('type'), boolean('primary')),
  many('groups', exact('value'), text('display')),
  userMeta,
);

export const groupAttributes: Attributes = attributes(
  exact('id'),
  exact('externalId'),
  text('displayName'),
  many('members', exact('value'), text('display'), text('type')),
  groupMeta,
);

/**
 * Attributes of RFC 7643, 4.1 and 4.3, that Freehold has no use for: taken and left out, so that a client that sends all it has is served.
 * In lower case.
 */
export const unusedUserAttributes: ReadonlySet<string> = new Set([
  'nickname',
  'profileurl',
  'title',
  'usertype',
  'preferredlanguage',
  'locale',
  'timezone',
  'phonenumbers',
  'ims',
  'photos',
  'addresses',
  'entitlements',
  'roles',
  'x509certificates',
]);
