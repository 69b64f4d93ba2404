/**
 * What somebody could make up in the place of a provider: ID tokens, answers to the browser, metadata. Each is refused, whoever refuses it, the library or we.
 * OpenID Connect Core 1.0, 3.1.3.7; RFC 8725; RFC 9207; ASVS 5.0 V9, V10.2, V10.5.
 */
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { randomBytes, systemClock } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import { createOidcClients, type OidcRound } from './oidc.ts';
import type { OidcSettings } from './types.ts';

const issuer = 'https://idp.example.com';
const clientSecret = 'the secret of the client, long enough for HMAC';
const settings: OidcSettings = {
  issuer,
  clientId: 'freehold-at-acme',
  createsUsers: true,
  trustsEmails: false,
  secondFactor: 'own',
  roleClaim: null,
  adminValues: [],
};
const redirectUri = 'https://acme.example.com/-/sign-on/callback';

const es256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const own = es256();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const attacker = es256();

type Json = Record<string, unknown>;
const encode = (value: Json) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Compact JWS, signed over exactly what stands before the last dot. */
function tokenOf(claims: Json, header: Json, signature: (input: string) => Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signature(input).toString('base64url')}`;
}
const ecdsa = (key: KeyObject) => (input: string) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });

/** A provider that answers what the test says, behind the one door for requests. */
function createProvider(metadata: Json = {}) {
  const sent: URLSearchParams[] = [];
  const state = { idToken: '' as string | undefined };
  const jwkOf = ({ publicKey }: { publicKey: KeyObject }, kid: string) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid,
    use: 'sig',
  });
  const answers: Record<string, () => Json> = {
    '/.well-known/openid-configuration': () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      ...metadata,
    }),
    '/keys': () => ({ keys: [jwkOf(own, 'own'), jwkOf(rsa, 'rsa')] }),
    '/token': () => ({ access_token: 'access', token_type: 'Bearer', expires_in: 60, id_token: state.idToken }),
  };
  const outgoing: Outgoing = {
    fetch: async (url, init) => {
      const { origin, pathname } = new URL(url);
      assert.equal(origin, issuer, 'nobody else is asked for anything');
      if (pathname === '/token') sent.push(new URLSearchParams(String(init?.body)));
      return Response.json(answers[pathname]!());
    },
  };
  return { client: createOidcClients({ outgoing, clock: systemClock })('tenant'), state, sent };
}

/** A sign-in that was begun, with the nonce that the token has to carry. */
async function begin(metadata?: Json) {
  const provider = createProvider(metadata);
  const round: OidcRound = { redirectUri, state: randomBytes(32).toString('base64url'), browserToken: randomBytes(32) };
  const begun = await provider.client.authorizationUrl(settings, round);
  assert.ok(begun.ok);
  const { searchParams } = new URL(begun.url);
  const seconds = Math.floor(systemClock.now() / 1000);
  const claims: Json = {
    iss: issuer,
    aud: settings.clientId,
    sub: 'person-1',
    nonce: searchParams.get('nonce'),
    iat: seconds,
    exp: seconds + 300,
    email: 'ada@acme.example',
    email_verified: true,
  };
  const query = `code=good&state=${round.state}`;
  return { ...provider, round, searchParams, claims, seconds, query };
}
type Begun = Awaited<ReturnType<typeof begin>>;

const header = { alg: 'ES256', kid: 'own' };
const genuine = (claims: Json) => tokenOf(claims, header, ecdsa(own.privateKey));

test('a genuine token is taken; the code is redeemed with the verifier of this browser, and nothing of it is in an address', async () => {
  const begun = await begin();
  begun.state.idToken = genuine(begun.claims);
  const outcome = await begun.client.redeem(settings, clientSecret, begun.round, begun.query);
  assert.ok(outcome.ok);
  assert.deepEqual([outcome.person.subject, outcome.person.email], ['person-1', 'ada@acme.example']);
  assert.equal(begun.searchParams.get('code_challenge_method'), 'S256');
  assert.equal(begun.searchParams.get('response_type'), 'code');
  assert.equal(begun.searchParams.get('scope'), 'openid email profile');
  assert.equal(begun.sent.length, 1);
  const verifier = begun.sent[0]!.get('code_verifier')!;
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  assert.equal(challenge, begun.searchParams.get('code_challenge'));
  assert.ok(![...begun.searchParams.values()].includes(verifier));
});

const forged: Record<string, (begun: Begun) => string | undefined> = {
  'no token': () => undefined,
  'no signature': ({ claims }) => `${encode({ alg: 'none' })}.${encode(claims)}.`,
  'no signature, and an algorithm that says otherwise': ({ claims }) => `${encode(header)}.${encode(claims)}.`,
  'another content under a genuine signature': ({ claims }) => {
    const [head, , signature] = genuine(claims).split('.');
    return `${head}.${encode({ ...claims, sub: 'somebody else' })}.${signature}`;
  },
  'the key of somebody else': ({ claims }) => tokenOf(claims, header, ecdsa(attacker.privateKey)),
  'a key that the token brings along': ({ claims }) =>
    tokenOf(
      claims,
      { alg: 'ES256', jwk: attacker.publicKey.export({ format: 'jwk' }), jku: 'https://evil.example/keys' },
      ecdsa(attacker.privateKey),
    ),
  'the secret as a key': ({ claims }) =>
    tokenOf(claims, { alg: 'HS256' }, (input) => createHmac('sha256', clientSecret).update(input).digest()),
  'the public key as a secret': ({ claims }) =>
    tokenOf(claims, { alg: 'HS256', kid: 'own' }, (input) =>
      createHmac('sha256', own.publicKey.export({ format: 'pem', type: 'spki' }))
        .update(input)
        .digest(),
    ),
  'an algorithm that the provider does not announce': ({ claims }) =>
    tokenOf(claims, { alg: 'RS256', kid: 'rsa' }, (input) => sign('sha256', Buffer.from(input), rsa.privateKey)),
  'another issuer': ({ claims }) => genuine({ ...claims, iss: 'https://idp.example.com.evil.example' }),
  'no issuer': ({ claims }) => genuine({ ...claims, iss: undefined }),
  'another audience': ({ claims }) => genuine({ ...claims, aud: 'another-client' }),
  'no audience': ({ claims }) => genuine({ ...claims, aud: undefined }),
  'several audiences, and not for whom': ({ claims }) =>
    genuine({ ...claims, aud: [settings.clientId, 'another-client'] }),
  'made for another client': ({ claims }) =>
    genuine({ ...claims, aud: [settings.clientId, 'another-client'], azp: 'another-client' }),
  'over for ten minutes': ({ claims, seconds }) => genuine({ ...claims, iat: seconds - 900, exp: seconds - 600 }),
  'good for ever': ({ claims }) => genuine({ ...claims, exp: undefined }),
  'good only tomorrow': ({ claims, seconds }) => genuine({ ...claims, nbf: seconds + 86_400 }),
  'the nonce of another sign-in': ({ claims }) => genuine({ ...claims, nonce: randomBytes(32).toString('base64url') }),
  'no nonce': ({ claims }) => genuine({ ...claims, nonce: undefined }),
  nobody: ({ claims }) => genuine({ ...claims, sub: undefined }),
};

test('an ID token that is not what it has to be lets nobody in', async (t) => {
  for (const [what, forge] of Object.entries(forged)) {
    const begun = await begin();
    begun.state.idToken = forge(begun);
    const outcome = await begun.client.redeem(settings, clientSecret, begun.round, begun.query);
    assert.equal(outcome.ok, false, what);
    assert.ok(['token_invalid', 'answer_invalid'].includes((outcome as { reason: string }).reason), what);
  }
  t.diagnostic(`${Object.keys(forged).length} forged tokens refused`);
});

test('an answer of another sign-in, another browser or another provider redeems no code', async () => {
  const mixed = { authorization_response_iss_parameter_supported: true };
  const cases: readonly [string, (begun: Begun) => string, Json?][] = [
    ['no state', () => 'code=good'],
    ['another state', () => `code=good&state=${randomBytes(32).toString('base64url')}`],
    ['two states', ({ query, round }) => `${query}&state=${round.state}`],
    ['no code', ({ round }) => `state=${round.state}`],
    ['the provider refuses', ({ round }) => `error=access_denied&state=${round.state}`],
    ['another issuer (RFC 9207)', ({ query }) => `${query}&iss=${encodeURIComponent('https://evil.example')}`, mixed],
    ['no issuer where one is promised', ({ query }) => query, mixed],
    ['another issuer, not promised', ({ query }) => `${query}&iss=${encodeURIComponent('https://evil.example')}`],
  ];
  for (const [what, queryOf, metadata] of cases) {
    const begun = await begin(metadata);
    begun.state.idToken = genuine(begun.claims);
    const outcome = await begun.client.redeem(settings, clientSecret, begun.round, queryOf(begun));
    assert.equal(outcome.ok, false, what);
    assert.equal(begun.sent.length, 0, `${what}: the code stays unused`);
  }
});

test('another browser has another nonce and another verifier', async () => {
  const begun = await begin();
  begun.state.idToken = genuine(begun.claims);
  const elsewhere = { ...begun.round, browserToken: randomBytes(32) };
  assert.equal((await begun.client.redeem(settings, clientSecret, elsewhere, begun.query)).ok, false);
  const challenge = createHash('sha256').update(begun.sent[0]!.get('code_verifier')!).digest('base64url');
  assert.notEqual(challenge, begun.searchParams.get('code_challenge'));
});

test('metadata of another issuer, or with algorithms that are not taken, are refused', async () => {
  const refused: Json[] = [
    { issuer: 'https://another.example.com' },
    { issuer: `${issuer}/another` },
    { id_token_signing_alg_values_supported: ['HS256', 'none'] },
    { token_endpoint: 'http://idp.example.com/token' },
    { authorization_endpoint: 'http://idp.example.com/authorize' },
  ];
  for (const metadata of refused)
    assert.equal((await createProvider(metadata).client.discover(settings)).ok, false, JSON.stringify(metadata));
  assert.deepEqual(await createProvider().client.discover(settings), { ok: true });
});

test('a second factor counts only where the provider says so in words that mean one', async () => {
  const cases: readonly [Json, boolean][] = [
    [{}, false],
    [{ amr: ['pwd'] }, false],
    [{ amr: ['otp'] }, false],
    [{ amr: 'mfa' }, false],
    [{ amr: ['pwd', 'mfa'] }, true],
    [{ acr: '1' }, false],
    [{ acr: ['https://refeds.org/profile/mfa', 'x'] }, false],
    [{ acr: 'https://refeds.org/profile/mfa' }, true],
    [{ acr: 'http://schemas.microsoft.com/claims/multipleauthn' }, true],
  ];
  for (const [said, expected] of cases) {
    const begun = await begin();
    begun.state.idToken = genuine({ ...begun.claims, ...said });
    const outcome = await begun.client.redeem(settings, clientSecret, begun.round, begun.query);
    assert.ok(outcome.ok);
    assert.equal(outcome.person.hasFactorEvidence, expected, JSON.stringify(said));
  }
});
