/**
 * How the routes of single sign-on are called. Connections need a provider, which is not here: that a connection, request, answer or cookie of another tenant opens
 * nothing is in src/identity/sso/oidc.test.ts and saml-flow.test.ts.
 */
import type { Recipe } from './recipes.ts';

const none = () => ({});
const ofNoConnection = (body: object): Recipe => ({
  for: 'owner',
  call: (_, side) => ({ params: { id: 'con_none' }, body: { ...body, password: side.people.owner.password } }),
  status: 404,
});

export const signOnRecipes: Record<string, Recipe> = {
  'identity.sign_on.get': { for: 'anyone', call: none },
  'identity.sign_on.discover': { for: 'anyone', call: (_, side) => ({ body: { email: side.people.member.email } }) },
  'identity.sign_on.start': { for: 'anyone', call: () => ({ body: { connectionId: 'con_none' } }), status: 404 },
  'identity.sign_on.finish_oidc': { for: 'anyone', call: () => ({ body: { query: 'state=none' } }), status: 404 },
  'identity.sign_on.finish_saml': {
    for: 'anyone',
    call: () => ({ body: { samlResponse: 'bm9uZQ==', relayState: 'none' } }),
    status: 404,
  },
  'identity.sign_on.finish_saml_log_out': {
    for: 'anyone',
    call: () => ({ params: { id: 'con_none' }, body: { query: 'SAMLResponse=none&RelayState=none' } }),
    status: 404,
  },
  'identity.sign_on.get_saml_metadata': { for: 'anyone', call: none },
  'identity.sign_on.get_connection_metadata': {
    for: 'anyone',
    call: () => ({ params: { id: 'con_none' } }),
    status: 404,
  },
  'identity.sign_on.get_settings': { for: 'admin', call: none },
  'identity.sign_on.create_connection': {
    for: 'owner',
    call: (_, side) => ({
      body: {
        kind: 'oidc',
        name: 'None',
        issuer: 'http://insecure.example',
        clientId: 'x',
        clientSecret: 'x',
        password: side.people.owner.password,
      },
    }),
    status: 422,
  },
  'identity.sign_on.change_connection': ofNoConnection({ name: 'Other' }),
  'identity.sign_on.set_connection_state': ofNoConnection({ state: 'on' }),
  'identity.sign_on.remove_connection': ofNoConnection({}),
  'identity.sign_on.test_connection': { for: 'owner', call: () => ({ params: { id: 'con_none' } }), status: 404 },
  'identity.sign_on.add_domain': {
    for: 'owner',
    call: (_, side) => ({
      body: { domain: 'example.com', connectionId: 'con_none', password: side.people.owner.password },
    }),
    status: 404,
  },
  'identity.sign_on.prove_domain': { for: 'owner', call: () => ({ params: { domain: 'example.com' } }), status: 404 },
  'identity.sign_on.remove_domain': {
    for: 'owner',
    call: (_, side) => ({ params: { domain: 'example.com' }, body: { password: side.people.owner.password } }),
    status: 404,
  },
  'identity.sign_on.set_policy': {
    for: 'owner',
    call: (_, side) => ({ body: { enforced: false, breakGlass: [], password: side.people.owner.password } }),
    status: 204,
  },
  'identity.user.unlink': {
    for: 'owner',
    call: ({ user }, side) => ({ params: { id: user }, body: { password: side.people.owner.password } }),
    names: ['user'],
    status: 404,
  },
};
