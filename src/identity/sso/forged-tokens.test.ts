import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { randomBytes, silentLog, systemClock } from '#src/kernel/index.ts';
import { createOutgoing } from '#src/outgoing/index.ts';
import { startTestServer, type TestServer } from '#src/outgoing/test-server.fixture.ts';
import { createOidcClients, type OidcClient } from './oidc.ts';
import type { OidcSettings } from './types.ts';

type Json = Record<string, unknown>;
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A provider that says whatever a test wants: no genuine one would. */
describe('ID tokens', { timeout: 300_000 }, () => {
  let server: TestServer;
  let issuer: string;
  let client: OidcClient;
  let settings: OidcSettings;
  /** What the token endpoint answers; what the discovery document says besides. */
  let makeToken: (claims: Json) => string;
  let metadata: Json;
  let redirects: string | undefined;
  const asked: string[] = [];
  const secret = 'the secret of the client, of 256 bits';
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });

  const signed = (claims: Json, { key = own.privateKey, header = { alg: 'RS256', kid: 'k' } as Json } = {}) => {
    const input = `${encode(header)}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  };

  before(async () => {
    server = await startTestServer((request, answer) => {
      const path = request.url!;
      asked.push(path);
      const send = (body: object) => answer.setHeader('content-type', 'application/json').end(JSON.stringify(body));
      if (redirects !== undefined && path.includes('openid-configuration'))
        return void answer.writeHead(302, { location: redirects }).end();
      if (path.includes('openid-configuration'))
        return void send({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`,
          id_token_signing_alg_values_supported: ['RS256'],
          ...metadata,
        });
      if (path === '/keys')
        return void send({
          keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }],
        });
      request.resume().on('end', () => send({ access_token: 'a', token_type: 'Bearer', id_token: makeToken(claims) }));
    });
    issuer = `https://idp.example:${server.port}`;
    settings = {
      issuer,
      clientId: 'us',
      createsUsers: true,
      trustsEmails: false,
      secondFactor: 'own',
      roleClaim: null,
      adminValues: [],
    };
  });
  after(() => server.stop());

  let claims: Json;
  /** One sign-in; @returns who it is, or why not */
  async function enter(make: (claims: Json) => string, more: Json = {}): Promise<string> {
    metadata = more;
    makeToken = make;
    const outgoing = createOutgoing({
      allow: [`idp.example:${server.port}`],
      ca: server.ca,
      log: silentLog,
      resolve: async () => ['127.0.0.1'],
    });
    client = createOidcClients({ outgoing, clock: systemClock })('tenant');
    const state = randomBytes(32).toString('base64url');
    const round = { redirectUri: 'https://acme.localhost/-/sign-on/callback', state, browserToken: randomBytes(32) };
    const begun = await client.authorizationUrl(settings, round);
    if (!begun.ok) return begun.reason;
    const sent = new URL(begun.url).searchParams;
    assert.equal(sent.get('code_challenge_method'), 'S256');
    const now = Math.floor(systemClock.now() / 1000);
    claims = {
      iss: issuer,
      aud: 'us',
      sub: 's',
      email: 'a@b.example',
      nonce: sent.get('nonce'),
      iat: now,
      exp: now + 60,
    };
    const done = await client.redeem(settings, secret, round, `code=c&state=${state}`);
    return done.ok ? done.person.subject : done.reason;
  }

  it('are taken when everything is right, and refused when anything is not', async () => {
    assert.equal(await enter((all) => signed(all)), 's');
    const hour = 3_600;
    const cases: Record<string, (all: Json) => string> = {
      'another key': (all) => signed(all, { key: foreign.privateKey }),
      'no signature': (all) => `${encode({ alg: 'none' })}.${encode(all)}.`,
      'the signature taken off': (all) => `${signed(all).split('.').slice(0, 2).join('.')}.`,
      'the secret as key': (all) => {
        const input = `${encode({ alg: 'HS256' })}.${encode(all)}`;
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      },
      'the public key as secret': (all) => {
        const input = `${encode({ alg: 'HS256', kid: 'k' })}.${encode(all)}`;
        const key = own.publicKey.export({ type: 'spki', format: 'pem' });
        return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
      },
      'a key that it brings along': (all) =>
        signed(all, {
          key: foreign.privateKey,
          header: { alg: 'RS256', kid: 'k', jwk: foreign.publicKey.export({ format: 'jwk' }) },
        }),
      'another body': (all) => {
        const [header, , signature] = signed(all).split('.');
        return `${header}.${encode({ ...all, sub: 'x' })}.${signature}`;
      },
      'another issuer': (all) => signed({ ...all, iss: 'https://evil.example' }),
      'another audience': (all) => signed({ ...all, aud: 'them' }),
      'two audiences and another party': (all) => signed({ ...all, aud: ['us', 'them'], azp: 'them' }),
      'two audiences and no party': (all) => signed({ ...all, aud: ['us', 'them'] }),
      'another nonce': (all) => signed({ ...all, nonce: 'other' }),
      'no nonce': ({ nonce: _, ...all }) => signed(all),
      'an end that is past': (all) => signed({ ...all, exp: Number(all.exp) - hour }),
      'no end': ({ exp: _, ...all }) => signed(all),
      'a beginning to come': (all) => signed({ ...all, nbf: Number(all.iat) + hour }),
      'no subject': ({ sub: _, ...all }) => signed(all),
      'an extension that must be understood': (all) =>
        signed(all, { header: { alg: 'RS256', kid: 'k', crit: ['x'], x: 1 } }),
    };
    for (const [what, make] of Object.entries(cases)) assert.equal(await enter(make), 'token_invalid', what);
  });

  it('come only from a provider that says what it is asked for, and leads nowhere else', async () => {
    const good = (all: Json) => signed(all);
    assert.equal(await enter(good, { issuer: 'https://evil.example' }), 'answer_invalid');
    assert.equal(await enter(good, { authorization_endpoint: 'http://idp.example/authorize' }), 'answer_invalid');
    assert.equal(await enter(good, { authorization_endpoint: 'javascript:alert(1)' }), 'answer_invalid');
    assert.equal(await enter(good, { id_token_signing_alg_values_supported: ['none', 'HS256'] }), 'answer_invalid');
    // 118: an address of the inside is not reached, whoever names it.
    assert.equal(await enter(good, { token_endpoint: 'https://10.0.0.1/token' }), 'provider_unreachable');
    assert.equal(await enter(good, { jwks_uri: 'https://169.254.169.254/keys' }), 'provider_unreachable');
    redirects = `${issuer}/elsewhere`;
    asked.length = 0;
    assert.equal(await enter(good), 'provider_unreachable');
    assert.ok(asked.every((path) => path !== '/elsewhere'));
    redirects = undefined;
  });
});
