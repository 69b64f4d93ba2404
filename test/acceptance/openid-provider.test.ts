/** Tenants as the OpenID providers of an app that nobody here wrote for: a stock client in its sandbox, a browser before it, and everything that may not work. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Answer, type Client, Freehold, openBrowser, repository, until } from './harness.ts';
import { listProcesses } from './processes.ts';
import { Visitor } from './visitor.ts';

const email = 'ada@example.com';
const password = 'seven purple lanterns drift';
const names = ['acme', 'globex'] as const;
type Name = (typeof names)[number];

describe('tenants as OpenID providers of their app', { timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-oidc-'));
  const clients = new Map<Name, Client>();
  let freehold: Freehold;
  let browser: Browser | undefined;

  before(async () => {
    freehold = await Freehold.start({ env: { FREEHOLD_BACKUPS: 'off', FREEHOLD_WORKERS: '2' } });
    cpSync(join(repository, 'test/apps/visitors'), folder, { recursive: true });
    // Pinned by this repository's own lock file; what is in the folder is sent as it is.
    for (const name of ['openid-client', 'oauth4webapi', 'jose'])
      cpSync(join(repository, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
    const added = await freehold.run('app', 'add', folder);
    assert.equal(added.code, 0, added.stderr);
    const create = async (name: Name) => {
      const made = await freehold.run(
        ...['tenant', 'create', name, '--app', 'visitors', '--admin-email', email, '--json'],
      );
      assert.equal(made.code, 0, `${made.stderr}${freehold.readTroubles()}`);
      clients.set(name, await freehold.signUp(JSON.parse(made.stdout), password));
    };
    await Promise.all(names.map(create));
  });
  after(async () => {
    await browser?.close();
    for (const client of clients.values()) await client.close();
    await freehold?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const clientOf = (name: Name) => clients.get(name)!;
  const originOf = (name: Name) => clientOf(name).origin;
  const get = async (name: Name, path: string): Promise<Answer> => {
    const answer = await clientOf(name).get(path);
    assert.ok(answer.status < 400, `${path}: ${answer.status} ${answer.text}${freehold.readTroubles()}`);
    return answer;
  };
  const locationOf = ({ headers, text }: Answer): URL => {
    assert.equal(typeof headers.location, 'string', text);
    return new URL(headers.location as string, originOf('acme'));
  };

  /** From the app's page to the address with a code; the app has not seen it yet. */
  async function askCode(name: Name, changes: Record<string, string> = {}): Promise<URL> {
    const asked = locationOf(await get(name, `/login?${new URLSearchParams(changes)}`));
    return locationOf(await get(name, asked.pathname + asked.search));
  }
  async function signIn(name: Name): Promise<void> {
    const callback = await askCode(name);
    assert.equal((await get(name, callback.pathname + callback.search)).status, 302);
  }
  const secretsOf = async (name: Name) => (await get(name, '/secrets')).json;

  /** The app of a tenant asks where its provider is. */
  async function ask(name: Name, question: object): Promise<{ status: number; text: string }> {
    return (await get(name, `/raw?ask=${encodeURIComponent(JSON.stringify(question))}`)).json;
  }
  async function exchange(name: Name, code: string, changes: Record<string, string> = {}) {
    const { clientId, clientSecret, verifier } = await secretsOf(name);
    const { status, text } = await ask(name, {
      path: '/-/oidc/token',
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: `${originOf(name)}/auth/callback`,
        code_verifier: verifier,
        client_id: clientId,
        client_secret: clientSecret,
        ...changes,
      }).toString(),
    });
    return { status, ...JSON.parse(text) };
  }

  it('describes itself, the same inside and outside', async () => {
    for (const name of names) {
      const { json } = await get(name, '/-/oidc/.well-known/openid-configuration');
      assert.equal(json.issuer, `${originOf(name)}/-/oidc`);
      for (const [key, value] of Object.entries(json))
        if (/_endpoint$|^jwks_uri$/.test(key)) assert.ok((value as string).startsWith(`${json.issuer}/`), key);
      assert.deepEqual(json.code_challenge_methods_supported, ['S256']);
      assert.deepEqual(json.response_types_supported, ['code']);
      const inside = (await get(name, '/metadata')).json;
      for (const key of Object.keys(json)) assert.deepEqual(inside[key], json[key], key);
    }
    const keys = await Promise.all(names.map(async (name) => (await get(name, '/-/oidc/jwks')).json.keys[0]));
    assert.notEqual(keys[0].kid, keys[1].kid);
    assert.deepEqual(Object.keys(keys[0]).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
  });

  it('signs a person in over the page of the account, who was a stranger to the app', async () => {
    browser = await openBrowser();
    const visitor = await Visitor.open(browser, 'ada');
    const { page } = visitor;
    const signInAt = async (path: string) => {
      await page.goto(originOf('acme') + path);
      await page.getByLabel('E-mail').fill(email);
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.waitForURL(`${originOf('acme')}/`);
      return JSON.parse((await page.textContent('body')) ?? '').user;
    };
    const user = await signInAt('/login');
    assert.equal(user.email, email);
    assert.equal(user.iss, `${originOf('acme')}/-/oidc`);
    assert.deepEqual(user.roles, ['owner']);
    // Signed in at Freehold, nobody is asked; but where the app wants to know anew.
    await page.goto(`${originOf('acme')}/login`);
    await page.waitForURL(`${originOf('acme')}/`);
    const again = await signInAt('/login?prompt=login');
    assert.deepEqual([again.sub, again.sid === user.sid], [user.sub, false]);
    assert.ok(again.auth_time >= user.auth_time);
    await page.goto(`${originOf('acme')}/logout`);
    await page.waitForURL(`${originOf('acme')}/goodbye?state=bye`);
    await page.goto(`${originOf('acme')}/login`);
    await page.getByLabel('E-mail').waitFor();
    await visitor.close();
  });

  it('says who is signed in, to each app about its own people alone', async () => {
    const users = [];
    for (const name of names) {
      await signIn(name);
      const { user } = (await get(name, '/')).json;
      const { json: info } = await get(name, '/me');
      assert.deepEqual([info.sub, info.email, info.roles], [user.sub, email, ['owner']]);
      users.push(user);
    }
    assert.equal(users[0].aud, users[1].aud);
    assert.notEqual(users[0].iss, users[1].iss);
    const [acme, globex] = [await secretsOf('acme'), await secretsOf('globex')];
    assert.notEqual(acme.clientSecret, globex.clientSecret);
    // The access token of one is nothing at the other.
    for (const [at, { tokens }] of [
      ['globex', acme],
      ['acme', globex],
    ] as const) {
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      const { status, text } = await ask(at, { path: '/-/oidc/userinfo', headers });
      assert.equal(status, 401, text);
      assert.equal(JSON.parse(text).error, 'invalid_token');
    }
  });

  it('takes a code once, and ends what it gave when it comes again', async () => {
    const code = (await askCode('acme')).searchParams.get('code')!;
    const tokens = await exchange('acme', code);
    assert.equal(tokens.status, 200, JSON.stringify(tokens));
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    assert.equal((await ask('acme', { path: '/-/oidc/userinfo', headers })).status, 200);
    const again = await exchange('acme', code);
    assert.deepEqual([again.status, again.error], [400, 'invalid_grant']);
    assert.equal((await ask('acme', { path: '/-/oidc/userinfo', headers })).status, 401);
  });

  it('takes no code of another tenant, without its verifier, secret or address', async () => {
    const fresh = async () => (await askCode('acme')).searchParams.get('code')!;
    const { verifier } = await secretsOf('acme');
    for (const [at, changes, error] of [
      ['globex', { code_verifier: verifier }, 'invalid_grant'],
      ['acme', { code_verifier: 'v'.repeat(43) }, 'invalid_grant'],
      ['acme', { code_verifier: '' }, 'invalid_request'],
      ['acme', { redirect_uri: `${originOf('acme')}/goodbye` }, 'invalid_grant'],
      ['acme', { client_secret: (await secretsOf('globex')).clientSecret }, 'invalid_client'],
      ['acme', { client_secret: '' }, 'invalid_client'],
    ] as const) {
      const answer = await exchange(at, await fresh(), changes);
      assert.equal(answer.error, error, JSON.stringify({ at, changes, answer }));
      assert.equal(answer.access_token, undefined);
    }
  });

  it('sends nobody to an address that is not the app’s, and nobody without PKCE', async () => {
    const origin = originOf('acme');
    const challenge = createHash('sha256').update('v'.repeat(43)).digest('base64url');
    const authorize = (changes: Record<string, string | undefined>) => {
      const values = {
        client_id: 'visitors',
        redirect_uri: `${origin}/auth/callback`,
        response_type: 'code',
        scope: 'openid',
        code_challenge: challenge,
        code_challenge_method: 'S256',
        state: 'st',
        ...changes,
      };
      const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
      return clientOf('acme').get(`/-/oidc/authorize?${new URLSearchParams(given)}`);
    };
    for (const redirect of [
      'https://evil.example/',
      `${origin}.evil.example/auth/callback`,
      `${originOf('globex')}/auth/callback`,
      `${origin}/goodbye`,
      `${origin}/auth/callback/`,
      `${origin}/auth/callback?next=https://evil.example/`,
      '//evil.example/auth/callback',
      undefined,
    ]) {
      const { status, headers, json } = await authorize({ redirect_uri: redirect });
      assert.deepEqual(
        [status, headers.location, json.code],
        [400, undefined, 'FH_OIDC_REQUEST_REFUSED'],
        String(redirect),
      );
    }
    for (const [error, changes] of [
      ['invalid_request', { code_challenge: undefined }],
      ['invalid_request', { code_challenge_method: 'plain' }],
      ['unsupported_response_type', { response_type: 'id_token' }],
    ] as const) {
      const location = locationOf(await authorize(changes));
      assert.equal(location.origin + location.pathname, `${origin}/auth/callback`);
      assert.deepEqual(
        ['error', 'state', 'code', 'iss'].map((name) => location.searchParams.get(name)),
        [error, 'st', null, `${origin}/-/oidc`],
      );
    }
    const logOut = (values: Record<string, string>) =>
      clientOf('acme').get(`/-/oidc/end-session?${new URLSearchParams(values)}`);
    const { tokens } = await secretsOf('acme');
    const elsewhere = { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://evil.example/' };
    assert.equal((await logOut(elsewhere)).status, 400);
    // A page anywhere can send a browser here; without the app's hint it is asked to decide itself.
    assert.equal(locationOf(await logOut({})).pathname, '/-/account');
    assert.equal((await clientOf('acme').get('/-/api/session')).status, 200);
  });

  it('is believed by the client only with its state and nonce', async () => {
    for (const [name, forged] of [
      ['state', { state: 'forged' }],
      ['nonce', { nonce: 'forged' }],
    ] as const) {
      const callback = await askCode('acme', forged);
      const { status, text } = await clientOf('acme').get(callback.pathname + callback.search);
      assert.equal(status, 400, text);
      assert.match(text, new RegExp(name));
    }
  });

  it('shows an app the provider of its own tenant, and nothing else of Freehold', async () => {
    const host = new URL(originOf('globex')).hostname;
    for (const path of ['/-/oidc/.well-known/openid-configuration', '/-/oidc/jwks', '/-/oidc/userinfo'])
      assert.equal((await ask('acme', { path, host })).status, 421, path);
    for (const path of ['/', '/-/api/session', '/-/api/tenant', '/-/sign-in', '/-/oidc/authorize', '/-/healthz'])
      assert.equal((await ask('acme', { path })).status, 404, path);
    for (const host of ['localhost', 'evil.example'])
      assert.ok((await ask('acme', { path: '/-/oidc/jwks', host })).status >= 400, host);
  });

  it('ends at the app with the session at Freehold, and with it its user', async () => {
    await signIn('globex');
    await get('globex', '/me');
    const unused = (await askCode('globex')).searchParams.get('code')!;
    assert.equal((await clientOf('globex').send('DELETE', '/-/api/session')).status, 204);
    const { status, text } = await clientOf('globex').get('/me');
    assert.equal(status, 400, text);
    assert.equal((await exchange('globex', unused)).error, 'invalid_grant');
    const asked = locationOf(await get('globex', '/login'));
    assert.equal(locationOf(await get('globex', asked.pathname + asked.search)).pathname, '/-/sign-in');
    const silent = locationOf(await get('globex', '/login?prompt=none'));
    const answered = locationOf(await get('globex', silent.pathname + silent.search));
    assert.equal(answered.searchParams.get('error'), 'login_required');
  });

  it('refuses a user who is suspended, at once', async () => {
    const owner = clientOf('acme');
    const invited = await owner.send('POST', '/-/api/invitations', { email: 'eve@example.com', role: 'member' });
    assert.equal(invited.status, 201, invited.text);
    const eve = freehold.tenantClient('acme');
    const token = new URL(invited.json.url).pathname.split('/').at(-1);
    const accepted = await eve.send('POST', `/-/api/invitations/${token}`, { name: 'Eve', password });
    assert.equal(accepted.status, 201, accepted.text);
    const step = async (path: string) => locationOf(await eve.get(path));
    const asked = await step('/login');
    const callback = await step(asked.pathname + asked.search);
    assert.equal((await eve.get(callback.pathname + callback.search)).status, 302);
    assert.deepEqual((await eve.get('/me')).json.roles, ['member']);
    const { sub } = (await eve.get('/')).json.user;
    assert.equal((await owner.send('PATCH', `/-/api/users/${sub}`, { state: 'disabled' })).status, 200);
    assert.equal((await eve.get('/me')).status, 400);
    const again = await step('/login');
    assert.equal((await step(again.pathname + again.search)).pathname, '/-/sign-in');
    await eve.close();
  });

  it('gives a copy a secret and a key of its own', async () => {
    const original = await secretsOf('acme');
    assert.equal((await freehold.run('tenant', 'clone', 'acme', 'acme-copy')).code, 0, freehold.readTroubles());
    const copy = freehold.tenantClient('acme-copy');
    const { json } = await copy.get('/secrets');
    assert.notEqual(json.clientSecret, original.clientSecret);
    const kid = async (client: Client) => (await client.get('/-/oidc/jwks')).json.keys[0].kid;
    assert.notEqual(await kid(copy), await kid(clientOf('acme')));
    await copy.close();
  });

  it('goes on under another name, with another version, and when a gateway dies', async () => {
    const signsIn = async (client: Client) => {
      const step = async (path: string) => locationOf(await client.get(path));
      const asked = await step('/login');
      assert.equal(asked.origin, client.origin, freehold.readTroubles());
      const callback = await step(asked.pathname + asked.search);
      const { status, text } = await client.get(callback.pathname + callback.search);
      assert.equal(status, 302, `${text}${freehold.readTroubles()}`);
      assert.equal((await client.get('/')).json.user.iss, `${client.origin}/-/oidc`);
    };
    const renamed = await freehold.run('tenant', 'rename', 'acme-copy', 'umbrella');
    assert.equal(renamed.code, 0, renamed.stderr);
    const open = async () => {
      const client = freehold.tenantClient('umbrella');
      assert.equal((await client.send('POST', '/-/api/session', { email, password })).status, 201);
      return client;
    };
    const client = await open();
    await signsIn(client);
    const path = join(folder, 'freehold.app.json');
    const look = `const { ok } = await fetch(process.env.OIDC_ISSUER + '/.well-known/openid-configuration'); if (!ok) throw ok;`;
    const changes = { version: '1.0.1', migrate: ['node', '--input-type=module', '-e', look] };
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
    assert.equal((await freehold.run('app', 'add', folder)).code, 0);
    const used = await freehold.run('app', 'use', 'umbrella', '1.0.1');
    assert.equal(used.code, 0, used.stderr);
    await signsIn(client);
    const victim = listProcesses(freehold).find(({ args }) => / run gateway\b/.test(args));
    process.kill(victim!.pid, 'SIGKILL');
    await until('the gateway to be gone', async () => !listProcesses(freehold).some(({ pid }) => pid === victim!.pid));
    // Its connections went with it.
    await client.close();
    const next = await open();
    await signsIn(next);
    await next.close();
  });
});
