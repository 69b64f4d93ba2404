/**
 * How each route of the product is called. The routes themselves are read from the product's own OpenAPI documents: one that is not here
 * fails the suite, and so does a recipe whose route is gone.
 */

import { imports } from './import-recipes.ts';
import { passkeys } from './passkey-recipes.ts';
import { scimSettings } from './scim-recipes.ts';
import type { Objects, Person, Role, SendOptions, Side } from './side.ts';
import { signOnRecipes } from './sign-on-recipes.ts';

export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly upload?: SendOptions['upload'];
}

export interface Recipe {
  /** The least role that may call it; `anyone`: no session is asked for. */
  readonly for: Role | 'anyone';
  /** The call, naming these objects. */
  readonly call: (objects: Objects, side: Side) => Call;
  /** Ids in the path that a stranger could try. */
  readonly names?: readonly (keyof Objects)[];
  /** What the call uses up is made anew for its own people's call. */
  readonly fresh?: (side: Side) => Promise<{ objects?: Partial<Objects>; as?: Person }>;
  /** Status of its own people's call. Default 200. */
  readonly status?: number;
  /** Not there where no backups are made: on a server that is not ours. */
  readonly needsBackups?: boolean;
  /** Answers with a stream that does not end; see the group `events`. */
  readonly isStream?: boolean;
}

const none = () => ({});
const freshSession = async (side: Side) => ({ as: await side.signIn(side.people.owner) });
const ofApiToken = (role: Role): Recipe => ({
  for: role,
  call: ({ apiToken }) => ({ params: { id: apiToken } }),
  names: ['apiToken'],
  fresh: async (side) => ({ objects: { apiToken: (await side.makeApiToken(side.people.owner)).tokenId } }),
  status: 204,
});
const makeItem = async (side: Side, project = side.shared.project): Promise<string> =>
  (await side.must('POST', '/api/items', { body: { project, title: side.newMarker('Fresh') } })).json.id;
const versionOf = async (side: Side, path: string) => ({
  objects: { version: (await side.must('GET', path)).json.version as number },
});

const identity: Record<string, Recipe> = {
  'identity.session.create': {
    for: 'anyone',
    call: (_, side) => ({ body: { email: side.people.member.email, password: side.people.member.password } }),
    status: 201,
  },
  'identity.session.get': { for: 'member', call: none },
  'identity.session.delete': { for: 'member', call: none, fresh: freshSession, status: 204 },
  'identity.session.sign_out': { for: 'member', call: none, fresh: freshSession },
  'identity.session.list': { for: 'member', call: none },
  'identity.session.delete_all': {
    for: 'member',
    call: none,
    // Ends the sessions of everything that comes later, so a person of its own.
    fresh: async (side) => ({ as: await makePerson(side) }),
    status: 204,
  },
  'identity.session.delete_others': {
    for: 'member',
    call: none,
    fresh: async (side) => ({ as: await makePerson(side) }),
    status: 204,
  },
  'identity.session.find_awaited': { for: 'anyone', call: none },
  // A right code needs the app's secret, which no answer has; codes of one tenant at the other: src/identity/second-factors/second-factors.test.ts.
  'identity.session.complete': { for: 'anyone', call: () => ({ body: { code: '000000' } }), status: 401 },
  'identity.second_factor.get': { for: 'member', call: none },
  'identity.second_factor.begin': {
    for: 'member',
    call: (_, side) => ({ body: { password: side.people.owner.password } }),
    status: 201,
  },
  'identity.second_factor.confirm': {
    for: 'member',
    call: () => ({ body: { code: 'no code' } }),
    // What is being set up is the owner's; a person of its own has begun nothing.
    fresh: async (side) => ({ as: await makePerson(side) }),
    status: 404,
  },
  'identity.second_factor.remove': {
    for: 'member',
    call: (_, side) => ({ body: { password: side.people.owner.password, code: 'no code' } }),
    // Refused after the session and the password were found good: there is none.
    status: 404,
  },
  'identity.second_factor.renew_recovery_codes': {
    for: 'member',
    call: (_, side) => ({ body: { password: side.people.owner.password, code: 'no code' } }),
    status: 404,
  },
  'identity.second_factor_policy.get': { for: 'admin', call: none },
  'identity.second_factor_policy.change': {
    for: 'owner',
    // As it is: another one would lock everybody out of the other routes.
    call: (_, side) => ({ body: { requiredOf: 'off', password: side.people.owner.password } }),
    status: 204,
  },
  'identity.user.reset_second_factor': {
    for: 'admin',
    call: ({ user }, side) => ({ params: { id: user }, body: { password: side.people.owner.password } }),
    names: ['user'],
    status: 404,
  },
  'identity.session.end': { for: 'anyone', call: none },
  'identity.session.list_notices': { for: 'member', call: none },
  'identity.session.dismiss_notices': { for: 'member', call: none, status: 204 },
  'identity.session.revoke': {
    for: 'member',
    call: ({ session }) => ({ params: { id: session } }),
    names: ['session'],
    fresh: async (side) => {
      const as = await side.signIn(side.people.owner);
      const session = (await side.must('GET', '/-/api/session', { as })).json.session.sessionId;
      return { objects: { session } };
    },
    status: 204,
  },
  'identity.invitation.get': {
    for: 'anyone',
    call: ({ invitationToken }) => ({ params: { token: invitationToken } }),
    names: ['invitationToken'],
    fresh: async (side) => ({ objects: { invitationToken: side.own.invitationToken } }),
  },
  'identity.invitation.accept': {
    for: 'anyone',
    call: ({ invitationToken }) => ({
      params: { token: invitationToken },
      body: { password: 'eleven copper kettles whistle' },
    }),
    names: ['invitationToken'],
    fresh: async (side) => ({ objects: { invitationToken: (await makeInvitation(side)).token } }),
    status: 201,
  },
  'identity.password_reset.request': {
    for: 'anyone',
    call: (_, side) => ({ body: { email: side.people.member.email } }),
    status: 202,
  },
  // A link is in a mailbox and nowhere else; that one of another tenant opens nothing is in src/identity/passwords/reset.test.ts.
  'identity.password_reset.check': {
    for: 'anyone',
    call: ({ invitationToken }) => ({ body: { token: invitationToken } }),
    status: 404,
  },
  'identity.password_reset.complete': {
    for: 'anyone',
    call: ({ invitationToken }) => ({ body: { token: invitationToken, password: 'eleven copper kettles whistle' } }),
    status: 404,
  },
  'identity.invitation.list': { for: 'admin', call: none },
  'identity.invitation.create': {
    for: 'admin',
    call: (_, side) => ({ body: { email: `${side.newMarker('new').toLowerCase()}@example.com`, role: 'member' } }),
    status: 201,
  },
  'identity.invitation.revoke': {
    for: 'admin',
    call: ({ invitation }) => ({ params: { id: invitation } }),
    names: ['invitation'],
    fresh: async (side) => ({ objects: { invitation: (await makeInvitation(side)).id } }),
    status: 204,
  },
  'identity.user.list': { for: 'member', call: none },
  'identity.user.change': {
    for: 'admin',
    call: ({ user }) => ({ params: { id: user }, body: { state: 'active' } }),
    names: ['user'],
  },
  'identity.password.change': {
    for: 'member',
    call: (_, side) => ({
      body: { currentPassword: side.people.owner.password, newPassword: `violet harbour ${side.label} nine boats` },
    }),
    fresh: async (side) => ({ as: await makePerson(side) }),
    // The recipe's password is not that person's: refused after the session was found good.
    status: 403,
  },
  'identity.token.list': { for: 'member', call: none },
  'identity.token.create': {
    for: 'member',
    call: (_, side) => ({
      body: { name: side.newMarker('Token'), scope: 'read', password: side.people.owner.password },
    }),
    status: 201,
  },
  'identity.token.revoke': ofApiToken('member'),
  'identity.token.list_all': { for: 'admin', call: none },
  'identity.token.revoke_any': ofApiToken('admin'),
  'identity.profile.get': { for: 'member', call: none },
  'identity.profile.change': { for: 'member', call: (_, side) => ({ body: { name: side.newMarker('Again') } }) },
  'identity.security_log.list': { for: 'admin', call: none },
  'identity.security_log.export': { for: 'admin', call: () => ({ query: '?format=csv' }) },
  'identity.password.check': { for: 'anyone', call: () => ({ body: { password: 'orange' } }) },
  'tenant.backups.get': { for: 'owner', call: none, needsBackups: true },
  'tenant.backups.confirm': {
    for: 'owner',
    call: (_, side) => ({ body: { password: side.people.owner.password } }),
    needsBackups: true,
    status: 201,
  },
  'tenant.backups.download': {
    for: 'owner',
    call: () => ({ body: { confirmation: 'never given' } }),
    needsBackups: true,
    // Refused after the session and the role were found good: nobody has confirmed. What confirmations are good for: src/main/tenant-backups.test.ts.
    status: 403,
  },
  'platform.openapi': { for: 'anyone', call: none },
  'tenant.get': { for: 'anyone', call: none },
};

const items: Record<string, Recipe> = {
  'desk.item.create': {
    for: 'member',
    call: ({ project }, side) => ({ body: { project, title: side.newMarker('Made') } }),
    status: 201,
  },
  'desk.item.get': { for: 'member', call: ({ item }) => ({ params: { item } }), names: ['item'] },
  'desk.item.update': {
    for: 'member',
    call: ({ item, version = 1 }, side) => ({
      params: { item },
      body: { version, title: side.newMarker('Changed') },
    }),
    names: ['item'],
    fresh: (side) => versionOf(side, `/api/items/${side.shared.item}`),
  },
  'desk.item.move': {
    for: 'member',
    call: ({ item2 }) => ({ params: { item: item2 }, body: { state: 'doing' } }),
    names: ['item2'],
  },
  'desk.item.delete': {
    for: 'admin',
    call: ({ item }) => ({ params: { item } }),
    names: ['item'],
    fresh: async (side) => ({ objects: { item: await makeItem(side) } }),
    status: 204,
  },
  'desk.item.list': { for: 'member', call: () => ({ query: '?limit=100' }) },
  'desk.item.update_many': {
    for: 'member',
    call: ({ item2 }) => ({ body: { itemIds: [item2], set: { priority: 'high' } } }),
  },
  'desk.history.list': { for: 'member', call: ({ item }) => ({ params: { item } }), names: ['item'] },
  'desk.item.export': { for: 'member', call: none },
  'desk.comment.list': { for: 'member', call: ({ item }) => ({ params: { item } }), names: ['item'] },
  'desk.comment.create': {
    for: 'member',
    call: ({ item }, side) => ({ params: { item }, body: { body: side.newMarker('Answer') } }),
    names: ['item'],
    status: 201,
  },
  'desk.comment.update': {
    for: 'member',
    call: ({ comment, version = 1 }, side) => ({
      params: { comment },
      body: { version, body: side.newMarker('Edited') },
    }),
    names: ['comment'],
    fresh: async (side) => {
      const { comments } = (await side.must('GET', `/api/items/${side.shared.item}/comments`)).json;
      const found = comments.find(({ id }: { id: string }) => id === side.shared.comment);
      return { objects: { version: found.version } };
    },
  },
  'desk.comment.delete': {
    for: 'member',
    call: ({ comment }) => ({ params: { comment } }),
    names: ['comment'],
    fresh: async (side) => {
      const made = await side.must('POST', `/api/items/${side.shared.item}/comments`, {
        body: { body: side.newMarker('Short') },
      });
      return { objects: { comment: made.json.id } };
    },
    status: 204,
  },
  'desk.attachment.list': { for: 'member', call: ({ item }) => ({ params: { item } }), names: ['item'] },
  'desk.attachment.create': {
    for: 'member',
    call: ({ item }, side) => ({
      params: { item },
      upload: { name: `${side.newMarker('Up')}.txt`, content: side.newMarker('Load') },
    }),
    names: ['item'],
    status: 201,
  },
  'desk.attachment.open': {
    for: 'member',
    call: ({ attachment }) => ({ params: { attachment } }),
    names: ['attachment'],
  },
  'desk.attachment.delete': {
    for: 'member',
    call: ({ attachment }) => ({ params: { attachment } }),
    names: ['attachment'],
    fresh: async (side) => {
      const upload = { name: 'gone.txt', content: side.newMarker('Gone') };
      const made = await side.must('POST', `/api/items/${side.shared.item}/attachments`, { upload });
      return { objects: { attachment: made.json.id } };
    },
    status: 204,
  },
};

const lists: Record<string, Recipe> = {
  'desk.me.get': { for: 'member', call: none },
  'desk.user.list': { for: 'member', call: none },
  'desk.summary.get': { for: 'member', call: none },
  'desk.tag.list': { for: 'member', call: none },
  'desk.events': { for: 'member', call: none, isStream: true },
  'desk.project.list': { for: 'member', call: () => ({ query: '?archived=all' }) },
  'desk.project.create': {
    for: 'admin',
    call: (_, side) => ({ body: { key: `NEW${side.label.slice(0, 1)}`, name: side.newMarker('New') } }),
    status: 201,
  },
  'desk.project.get': { for: 'member', call: ({ project }) => ({ params: { project } }), names: ['project'] },
  'desk.project.update': {
    for: 'admin',
    call: ({ project, version = 1 }, side) => ({
      params: { project },
      body: { version, name: side.newMarker('Renamed') },
    }),
    names: ['project'],
    fresh: (side) => versionOf(side, `/api/projects/${side.shared.project}`),
  },
  'desk.board.get': { for: 'member', call: ({ project }) => ({ params: { project } }), names: ['project'] },
};

async function makeInvitation(side: Side): Promise<{ id: string; email: string; token: string }> {
  const email = side.mark(`${side.newMarker('one').toLowerCase()}@example.com`);
  const { json } = await side.must('POST', '/-/api/invitations', { body: { email, role: 'member' } });
  const token = new URL(json.url).pathname.split('/').at(-1)!;
  side.secrets.add(token);
  return { id: json.invitationId, email, token };
}

/** A member who is there for one call. */
async function makePerson(side: Side): Promise<Person> {
  const { email, token } = await makeInvitation(side);
  return side.accept({ role: 'member', email, token });
}

export const recipes: Readonly<Record<string, Recipe>> = {
  ...identity,
  ...passkeys,
  ...scimSettings,
  ...signOnRecipes,
  ...items,
  ...lists,
  ...imports,
};
