import type { Recipe } from './recipes.ts';

const none = () => ({});
/** As a browser answers, and worth nothing. */
const noPasskey = { id: 'AA', rawId: 'AA', type: 'public-key', response: { clientDataJSON: 'AA', signature: 'AA' } };

export const passkeys: Readonly<Record<string, Recipe>> = {
  // What a passkey signs at one tenant is shown at the other in groups/passkeys.ts.
  'identity.session.ask_passkey': { for: 'anyone', call: none, status: 401 },
  'identity.session.begin_passkey': { for: 'anyone', call: none, status: 201 },
  'identity.session.create_with_passkey': {
    for: 'anyone',
    call: () => ({ body: { passkey: { ...noPasskey, response: { ...noPasskey.response, authenticatorData: 'AA' } } } }),
    status: 401,
  },
  'identity.passkey.begin': {
    for: 'member',
    call: (_, side) => ({ body: { password: side.people.owner.password } }),
    status: 201,
  },
  'identity.passkey.add': {
    for: 'member',
    call: () => ({
      body: { name: 'x', passkey: { ...noPasskey, response: { ...noPasskey.response, attestationObject: 'AA' } } },
    }),
    // Refused after the session was found good.
    status: 403,
  },
  'identity.passkey.ask': { for: 'member', call: none, status: 404 },
  'identity.passkey.remove': {
    for: 'member',
    call: (_, side) => ({ params: { id: 'pky_x' }, body: { password: side.people.owner.password } }),
    status: 404,
  },
};
