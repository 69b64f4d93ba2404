/** How each route of provisioning is called: those of the account page in a session, those of SCIM with a token. */
import type { Recipe } from './recipes.ts';
import type { Objects, Side } from './side.ts';

const none = () => ({});

export const scimSettings: Record<string, Recipe> = {
  'identity.scim.get': { for: 'admin', call: none },
  'identity.scim_token.create': {
    for: 'admin',
    call: (_, side) => ({ body: { name: side.newMarker('Directory'), password: side.people.owner.password } }),
    status: 201,
    // At most ten are good at once.
    fresh: async (side) => {
      const { tokens } = (await side.must('GET', '/-/api/scim')).json;
      for (const { tokenId } of tokens.slice(0, -2)) await side.must('DELETE', `/-/api/scim/tokens/${tokenId}`);
      return {};
    },
  },
  'identity.scim_token.revoke': {
    for: 'admin',
    call: ({ scimToken }) => ({ params: { id: scimToken } }),
    names: ['scimToken'],
    fresh: async (side) => ({ objects: { scimToken: (await side.makeScimToken()).tokenId } }),
    status: 204,
  },
  'identity.scim_group.map': {
    for: 'admin',
    call: ({ scimGroup }) => ({ params: { id: scimGroup }, body: { role: null } }),
    names: ['scimGroup'],
    status: 204,
  },
};

export interface ScimRecipe {
  readonly call: (
    objects: Objects,
    side: Side,
  ) => { readonly id?: string; readonly query?: string; readonly body?: unknown };
  /** Which id in the path a stranger could try. */
  readonly names?: 'scimUser' | 'scimGroup';
  /** Status of its own directory's call. Default 200. */
  readonly status?: number;
}

const core = 'urn:ietf:params:scim:schemas:core:2.0';
const patch = (...operations: readonly object[]) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: operations,
});
const user = ({ scimUser }: Objects) => ({ id: scimUser });
const group = ({ scimGroup }: Objects) => ({ id: scimGroup });
const newEmail = (side: Side) => side.mark(`${side.newMarker('scim').toLowerCase()}@example.com`);

export const scimRecipes: Readonly<Record<string, ScimRecipe>> = {
  'scim.config.get': { call: none },
  'scim.resource_type.list': { call: none },
  'scim.resource_type.get': { call: () => ({ id: 'User' }) },
  'scim.schema.list': { call: none },
  'scim.schema.get': { call: () => ({ id: `${core}:User` }) },
  'scim.user.list': { call: () => ({ query: '?filter=externalId%20pr' }) },
  'scim.user.create': {
    call: (_, side) => ({ body: { schemas: [`${core}:User`], userName: newEmail(side), externalId: 'both' } }),
    status: 201,
  },
  'scim.user.get': { call: user, names: 'scimUser' },
  'scim.user.replace': {
    call: (objects, side) => ({
      ...user(objects),
      body: {
        schemas: [`${core}:User`],
        userName: newEmail(side),
        externalId: 'both',
        displayName: side.newMarker('Put'),
      },
    }),
    names: 'scimUser',
  },
  'scim.user.patch': {
    call: (objects, side) => ({
      ...user(objects),
      body: patch({ op: 'Replace', path: 'displayName', value: side.newMarker('Patched') }),
    }),
    names: 'scimUser',
  },
  'scim.group.list': { call: none },
  'scim.group.create': {
    call: (_, side) => ({
      body: { schemas: [`${core}:Group`], displayName: side.newMarker('Made'), externalId: 'both' },
    }),
    status: 201,
  },
  'scim.group.get': { call: group, names: 'scimGroup' },
  'scim.group.replace': {
    call: (objects, side) => ({
      ...group(objects),
      body: {
        schemas: [`${core}:Group`],
        displayName: side.newMarker('Again'),
        members: [{ value: objects.scimUser }],
      },
    }),
    names: 'scimGroup',
  },
  'scim.group.patch': {
    call: (objects) => ({
      ...group(objects),
      body: patch({ op: 'Remove', path: `members[value eq "${objects.scimUser}"]` }),
    }),
    names: 'scimGroup',
    status: 204,
  },
  // Last of their kind: what they name is gone then.
  'scim.group.delete': { call: group, names: 'scimGroup', status: 204 },
  'scim.user.delete': { call: user, names: 'scimUser', status: 204 },
};
