import {
  type Attribute,
  type Attributes,
  groupAttributes,
  groupSchema,
  userAttributes,
  userSchema,
} from './attributes.ts';
import type { Resource } from './filter.ts';
import { listLimits } from './list.ts';

const core = 'urn:ietf:params:scim:schemas:core:2.0';

/** RFC 7643, 5. */
export function serviceProviderConfig(base: string): Resource {
  return {
    schemas: [`${core}:ServiceProviderConfig`],
    documentationUri: 'https://www.rfc-editor.org/rfc/rfc7644',
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: listLimits.maxCount },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'SCIM token',
        description: 'A token that an administrator of the account made, as Authorization: Bearer.',
        specUri: 'https://www.rfc-editor.org/rfc/rfc6750',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
  };
}

/** RFC 7643, 6. */
export function resourceTypes(base: string): Resource[] {
  return [
    { name: 'User', endpoint: '/Users', description: 'Somebody with an account', schema: userSchema },
    { name: 'Group', endpoint: '/Groups', description: 'A group of users', schema: groupSchema },
  ].map((type) => ({
    schemas: [`${core}:ResourceType`],
    id: type.name,
    ...type,
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${type.name}` },
  }));
}

/** RFC 7643, 7. */
export function schemas(base: string): Resource[] {
  return [
    { id: userSchema, name: 'User', description: 'Somebody with an account', attributes: describe(userAttributes) },
    { id: groupSchema, name: 'Group', description: 'A group of users', attributes: describe(groupAttributes) },
  ].map((schema) => ({
    schemas: [`${core}:Schema`],
    ...schema,
    meta: { resourceType: 'Schema', location: `${base}/Schemas/${schema.id}` },
  }));
}

const required = new Set(['userName']);
const readOnly = new Set(['groups']);
/** RFC 7643, 3.1: of every resource, and in no schema. */
const common = new Set(['id', 'externalId', 'meta']);

function describe(attributes: Attributes): object[] {
  return [...attributes.values()]
    .filter(({ name }) => !common.has(name))
    .map((one) => describeOne(one, readOnly.has(one.name)));
}

function describeOne(attribute: Attribute, isReadOnly: boolean): object {
  const { name, type, caseExact = false, multiValued = false, sub } = attribute;
  return {
    name,
    type,
    multiValued,
    description: name,
    required: required.has(name),
    caseExact,
    mutability: isReadOnly ? 'readOnly' : 'readWrite',
    returned: 'default',
    uniqueness: name === 'userName' ? 'server' : 'none',
    ...(sub && { subAttributes: [...sub.values()].map((one) => describeOne(one, isReadOnly)) }),
  };
}
