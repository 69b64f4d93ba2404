import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { randomBytes, systemClock, type TenantId } from '#src/kernel/index.ts';
import {
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import { stripClone } from '../users/lifecycle.ts';
import { Victims } from '../victims.fixture.ts';
import { clientSecretName, createProvider, type Provider, ProviderRefusal, type ProviderTenant } from './index.ts';

const email = 'mara@example.com';
const verifier = 'v'.repeat(43);
const challenge = createHash('sha256').update(verifier).digest('base64url');

describe('a tenant as the OpenID provider of its app', () => {
  let world: TwoTenants;
  let victims: Victims;
  let provider: Provider;
  let a: ProviderTenant;
  let b: ProviderTenant;
  let userId: string;
  const secrets = new Map<ProviderTenant, string>();

  before(async () => {
    world = await startTwoTenants();
    victims = new Victims(world);
    const factorsKeyOf = (tenantId: TenantId) => world.accesses.get(tenantId)!.factorsKey;
    provider = createProvider({ databases: world.databases, factorsKeyOf, clock: systemClock });
    a = await tenantOf(world.a);
    b = await tenantOf(world.b);
    userId = await createTwins(world, email, { role: 'admin' });
  });
  after(async () => {
    await victims?.stop();
    await world.stop();
  });

  /** The client is the same in both, as the version of the app is; only its secret is not. */
  async function tenantOf({ tenantId, route }: TestTenant): Promise<ProviderTenant> {
    const origin = `https://${route.host}`;
    const client = {
      clientId: 'wiki',
      redirectUris: [`${origin}/oauth/callback`],
      signedOutUris: [`${origin}/signed-out`],
    };
    const tenant = { tenantId, issuer: `${origin}/-/oidc`, client };
    const secret = randomBytes(32).toString('base64url');
    secrets.set(tenant, secret);
    await query(tenant, 'INSERT INTO freehold.app_secrets (name, value) VALUES ($1, $2)', [clientSecretName, secret]);
    return tenant;
  }

  async function signIn({ tenantId }: ProviderTenant): Promise<string> {
    const caller = { address: '192.0.2.1', userAgent: undefined, cookieHeader: undefined };
    const { session } = await started(world.identity.signIn(tenantId, { email, password: goodPassword }, caller));
    return session.sessionId;
  }

  const queryOf = (tenant: ProviderTenant, changes: Record<string, string | undefined> = {}) =>
    formOf({
      client_id: tenant.client.clientId,
      redirect_uri: tenant.client.redirectUris[0],
      response_type: 'code',
      scope: 'openid profile email offline_access',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      state: 'st',
      nonce: 'no',
      ...changes,
    });

  async function getCode(tenant: ProviderTenant, sessionId: string): Promise<string> {
    const answer = await provider.authorize(tenant, queryOf(tenant), sessionId);
    assert.equal(answer.kind, 'redirect');
    const { searchParams: answered } = new URL((answer as { location: string }).location);
    assert.equal(answered.get('state'), 'st');
    assert.equal(answered.get('iss'), tenant.issuer);
    return answered.get('code')!;
  }

  const formFor = (tenant: ProviderTenant, code: string, changes: Record<string, string | undefined> = {}) => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: tenant.client.redirectUris[0],
    code_verifier: verifier,
    client_id: tenant.client.clientId,
    client_secret: secrets.get(tenant),
    ...changes,
  });
  const exchange = (tenant: ProviderTenant, code: string, changes: Record<string, string | undefined> = {}) =>
    provider.exchange(tenant, { authorization: undefined, form: formOf(formFor(tenant, code, changes)) });

  it('says who signed in, under a key of this tenant alone', async () => {
    const sessionId = await signIn(a);
    const tokens = await exchange(a, await getCode(a, sessionId));
    const { payload } = await jwtVerify(tokens.id_token, createLocalJWKSet(await keysOf(a)), {
      issuer: a.issuer,
      audience: 'wiki',
      algorithms: ['RS256'],
    });
    const { sub, name, nonce, roles, sid } = payload;
    assert.deepEqual(
      { sub, name, nonce, roles, sid },
      { sub: userId, name: 'Twin', nonce: 'no', roles: ['admin'], sid: sessionId },
    );
    assert.equal(tokens.scope, 'openid profile email');
    assert.deepEqual(await provider.describeUser(a, `Bearer ${tokens.access_token}`), {
      sub: userId,
      roles: ['admin'],
      name: 'Twin',
      email,
    });
    await assert.rejects(jwtVerify(tokens.id_token, createLocalJWKSet(await keysOf(b))));
    await refused('invalid_token', provider.describeUser(b, `Bearer ${tokens.access_token}`));
    const [key] = (await keysOf(a)).keys;
    assert.deepEqual(Object.keys(key!).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
  });

  it('takes a code once; the second use ends what the first gave', async () => {
    const code = await getCode(a, await signIn(a));
    const attempts = await Promise.allSettled([1, 2, 3, 4].map(() => exchange(a, code)));
    const [granted, ...more] = attempts.filter((each) => each.status === 'fulfilled');
    assert.ok(granted);
    assert.deepEqual(more, []);
    await refused('invalid_grant', exchange(a, code));
    await refused('invalid_token', provider.describeUser(a, `Bearer ${granted.value.access_token}`));
    // Once, however often it comes; and not at the tenant beside.
    const events = `SELECT 1 FROM freehold.audit_events WHERE name = 'session.app_code_reused'`;
    assert.deepEqual([(await query(a, events)).length, (await query(b, events)).length], [1, 0]);
  });

  it('takes no code of another tenant, redirect or verifier, and none that is over', async () => {
    const session = await signIn(a);
    await refused('invalid_grant', exchange(b, await getCode(a, session)));
    for (const changes of [
      { redirect_uri: `${a.client.redirectUris[0]}/` },
      { code_verifier: 'w'.repeat(43) },
      { code_verifier: challenge },
    ]) {
      const code = await getCode(a, session);
      await refused('invalid_grant', exchange(a, code, changes));
      // Who has guessed wrong has used it up.
      await refused('invalid_grant', exchange(a, code));
    }
    await refused('invalid_request', exchange(a, await getCode(a, session), { code_verifier: undefined }));
    const late = await getCode(a, session);
    await query(a, `UPDATE freehold.provider_codes SET expires_at = now() WHERE used_at IS NULL`);
    await refused('invalid_grant', exchange(a, late));
    const foreign = await getCode(a, session);
    await query(a, `UPDATE freehold.provider_codes SET client_id = 'other' WHERE used_at IS NULL`);
    await refused('invalid_grant', exchange(a, foreign));
  });

  it('keeps few codes of a session that nobody uses, and those of other sessions', async () => {
    const [session, other] = [await signIn(a), await signIn(a)];
    const others = await getCode(a, other);
    const codes: string[] = [];
    for (let count = 0; count < 22; count++) codes.push(await getCode(a, session));
    const rows = await query(a, 'SELECT 1 FROM freehold.provider_codes WHERE session_id = $1', [session]);
    assert.equal(rows.length, 20);
    await refused('invalid_grant', exchange(a, codes[0]!));
    for (const code of [codes.at(-1)!, others]) assert.ok((await exchange(a, code)).id_token);
  });

  it('believes only the app of this tenant', async () => {
    const code = await getCode(a, await signIn(a));
    await refused('invalid_client', exchange(a, code, { client_secret: secrets.get(b) }));
    await refused('invalid_client', exchange(a, code, { client_secret: undefined }));
    await refused('invalid_client', exchange(a, code, { client_id: 'other' }));
    const basic = (secret: string) => `Basic ${Buffer.from(`wiki:${secret}`).toString('base64')}`;
    const form = (changes = {}) =>
      formOf({
        grant_type: 'authorization_code',
        code,
        redirect_uri: a.client.redirectUris[0],
        code_verifier: verifier,
        ...changes,
      });
    const ask = (secret: string, changes = {}) =>
      provider.exchange(a, { authorization: basic(secret), form: form(changes) });
    await refused('invalid_client', ask(secrets.get(b)!));
    await refused('invalid_request', ask(secrets.get(a)!, { client_secret: secrets.get(a)! }));
    await refused('unsupported_grant_type', ask(secrets.get(a)!, { grant_type: 'refresh_token' }));
    // None of that has touched the code.
    assert.ok((await ask(secrets.get(a)!)).id_token);
  });

  it('answers to addresses of the app alone', async () => {
    const session = await signIn(a);
    for (const redirect of [
      b.client.redirectUris[0],
      `${a.client.redirectUris[0]}?x=1`,
      `${a.client.redirectUris[0]}/../callback`,
      `${a.client.redirectUris[0]}#`,
      a.client.redirectUris[0]!.toUpperCase(),
      `${new URL(a.issuer).origin}@evil.example/oauth/callback`,
      undefined,
    ])
      assert.equal((await provider.authorize(a, queryOf(a, { redirect_uri: redirect }), session)).kind, 'shown');
    assert.equal((await provider.authorize(a, queryOf(a, { client_id: 'other' }), session)).kind, 'shown');
    const twice = `${queryOf(a)}&redirect_uri=https%3A%2F%2Fevil.example%2F`;
    const answer = await provider.authorize(a, twice, session);
    assert.equal(answer.kind, 'shown');
  });

  it('goes without no protection that the request leaves out', async () => {
    const session = await signIn(a);
    for (const [error, changes] of [
      ['invalid_request', { code_challenge: undefined }],
      ['invalid_request', { code_challenge_method: 'plain' }],
      ['invalid_request', { code_challenge_method: undefined }],
      ['unsupported_response_type', { response_type: 'token' }],
      ['unsupported_response_type', { response_type: 'code id_token' }],
      ['invalid_request', { response_mode: 'fragment' }],
      ['invalid_scope', { scope: 'profile' }],
      ['request_not_supported', { request: 'eyJhbGciOiJub25lIn0..' }],
      ['request_uri_not_supported', { request_uri: 'https://evil.example/' }],
      ['consent_required', { prompt: 'consent' }],
      ['invalid_request', { prompt: 'none login' }],
    ] as const) {
      const answer = await provider.authorize(a, queryOf(a, changes), session);
      assert.equal(errorOf(answer), error, JSON.stringify(changes));
    }
  });

  it('asks for sign-in, or says that nobody is signed in', async () => {
    assert.equal((await provider.authorize(a, queryOf(a), undefined)).kind, 'sign-in');
    assert.equal(errorOf(await provider.authorize(a, queryOf(a, { prompt: 'none' }), undefined)), 'login_required');
    // A session of the other tenant is none here.
    assert.equal((await provider.authorize(b, queryOf(b), await signIn(a))).kind, 'sign-in');
    const session = await signIn(a);
    await query(a, `UPDATE freehold.sessions SET created_at = created_at - interval '1 hour'`);
    const silent = { max_age: '60', prompt: 'none' };
    assert.equal(errorOf(await provider.authorize(a, queryOf(a, silent), session)), 'login_required');
  });

  it('asks who signed in too long ago, or must sign in now, once more, and once', async () => {
    for (const changes of [{ max_age: '60' }, { max_age: '0' }, { prompt: 'login' }, { prompt: 'select_account' }]) {
      const old = await signIn(a);
      await query(a, `UPDATE freehold.sessions SET created_at = created_at - interval '1 hour'`);
      const asked = await provider.authorize(a, queryOf(a, changes), old);
      assert.ok(asked.kind === 'sign-in' && asked.again, JSON.stringify(changes));
      // Who comes back as they went is asked again; who has signed in is not, and the rest of the request is what it was.
      assert.equal((await provider.authorize(a, asked.query, old)).kind, 'sign-in');
      const answer = await provider.authorize(a, asked.query, await signIn(a));
      assert.equal(answer.kind, 'redirect');
      assert.equal(new URL((answer as { location: string }).location).searchParams.get('state'), 'st');
    }
  });

  it('gives nothing once the session is over, and the role of now', async () => {
    const session = await signIn(a);
    const tokens = await exchange(a, await getCode(a, session));
    const code = await getCode(a, session);
    await query(a, `UPDATE freehold.users SET role = 'member'`);
    const user = await provider.describeUser(a, `Bearer ${tokens.access_token}`);
    assert.deepEqual(user.roles, ['member']);
    // As suspending somebody does, and signing out everywhere.
    await query(a, 'UPDATE freehold.users SET epoch = epoch + 1');
    await refused('invalid_token', provider.describeUser(a, `Bearer ${tokens.access_token}`));
    await refused('invalid_grant', exchange(a, code));
    assert.equal((await provider.authorize(a, queryOf(a), session)).kind, 'sign-in');

    const other = await signIn(a);
    const unused = await getCode(a, other);
    await query(a, 'DELETE FROM freehold.sessions');
    await refused('invalid_grant', exchange(a, unused));
  });

  it('killed in the middle: a code has given nothing, or is used up; two keys are never there', async () => {
    const session = await signIn(b);
    const tokens = async () => (await query(b, 'SELECT 1 FROM freehold.provider_access_tokens')).length;
    const code = await getCode(b, session);
    const request = { authorization: undefined, form: formOf(formFor(b, code)) };
    await query(b, 'DELETE FROM freehold.provider_keys');
    await victims.die('identity.provider.key.before_commit', 'listKeys', b);
    assert.deepEqual(await query(b, 'SELECT 1 FROM freehold.provider_keys'), []);
    const { keys } = await keysOf(b);
    await victims.die('identity.provider.exchange.before_commit', 'exchange', b, request);
    assert.equal(await tokens(), 0);
    await victims.die('identity.provider.exchanged', 'exchange', b, request);
    assert.equal(await tokens(), 1);
    // Nobody has heard of that token, and the client that asks again ends it.
    await refused('invalid_grant', exchange(b, code));
    assert.equal(await tokens(), 0);
    assert.deepEqual((await keysOf(b)).keys, keys);
  });

  it('signs out whom the ID token is about, and nobody without one', async () => {
    const session = await signIn(a);
    const tokens = await exchange(a, await getCode(a, session));
    const [uri] = a.client.signedOutUris;
    const logOut = (tenant: ProviderTenant, values: Record<string, string>) =>
      provider.endSession(tenant, formOf(values), undefined);
    for (const hint of [undefined, 'x', `${tokens.id_token}x`, tokens.id_token.replace(/[^.]*$/, '')])
      assert.equal((await logOut(a, hint === undefined ? {} : { id_token_hint: hint })).sessionId, undefined);
    assert.equal((await logOut(b, { id_token_hint: tokens.id_token })).sessionId, undefined);
    for (const elsewhere of [
      'https://evil.example/',
      `${uri}/`,
      `${uri}?x=1`,
      a.client.redirectUris[0]!,
      b.client.signedOutUris[0]!,
    ])
      await refused(
        'invalid_request',
        logOut(a, { id_token_hint: tokens.id_token, post_logout_redirect_uri: elsewhere }),
      );
    await refused('invalid_request', logOut(a, { id_token_hint: tokens.id_token, client_id: 'other' }));
    assert.ok(await provider.describeUser(a, `Bearer ${tokens.access_token}`));
    // A second time says the same: the session is over.
    for (const _time of [1, 2])
      assert.deepEqual(
        await logOut(a, { id_token_hint: tokens.id_token, post_logout_redirect_uri: uri!, state: 's&t' }),
        { sessionId: session, location: `${uri}?state=s%26t` },
      );
    await refused('invalid_token', provider.describeUser(a, `Bearer ${tokens.access_token}`));
    assert.equal((await provider.authorize(a, queryOf(a), session)).kind, 'sign-in');
  });

  it('signs in a copy under another key', async () => {
    const before = await keysOf(b);
    assert.deepEqual(await keysOf(b), before);
    // The rows of the original, where the key of the tenant is another.
    const [original] = await query(a, 'SELECT * FROM freehold.provider_keys');
    await query(b, 'UPDATE freehold.provider_keys SET key_id = $1, sealed_private_key = $2, public_jwk = $3', [
      original!.key_id,
      original!.sealed_private_key,
      JSON.stringify(original!.public_jwk),
    ]);
    const kids = [await keysOf(a), await keysOf(b), before].map(({ keys }) => keys[0]!.kid);
    assert.equal(new Set(kids).size, 3);
    await world.databases.platform.transact(b.tenantId, stripClone);
    assert.deepEqual(await query(b, 'SELECT * FROM freehold.provider_keys'), []);
  });

  async function keysOf(tenant: ProviderTenant) {
    const { keys } = await provider.listKeys(tenant);
    return { keys: keys.map((key) => ({ ...key, kty: key.kty!, kid: key.kid! })) };
  }

  function query({ tenantId }: ProviderTenant, text: string, values?: unknown[]) {
    return world.databases.platform.transact(tenantId, (db) => db.query<Record<string, unknown>>(text, values));
  }
});

function formOf(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new URLSearchParams(given).toString();
}

function errorOf(answer: Awaited<ReturnType<Provider['authorize']>>): string | null {
  assert.equal(answer.kind, 'redirect');
  const { searchParams } = new URL((answer as { location: string }).location);
  assert.equal(searchParams.get('code'), null);
  return searchParams.get('error');
}

async function refused(code: string, act: Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => error instanceof ProviderRefusal && error.code === code);
}
