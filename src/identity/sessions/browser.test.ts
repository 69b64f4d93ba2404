import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { createBrowserCookies } from './browser.ts';
import { hashToken, newToken, sessionCookieName } from './cookie.ts';

test('a header that was opened before is good for its tenant, its key and its very bytes only', async () => {
  const [acme, globex] = [newId('ten'), newId('ten')];
  // One key for both, so that nothing but the tenant can tell them apart.
  let key = new Uint8Array(32).fill(1);
  const cookies = createBrowserCookies(() => key);
  const token = newToken();
  const header = (await cookies.setSession(acme, { token, sessionId: newId('ses'), generation: 0 })).split(';')[0]!;
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await cookies.findSessionTokenHash(acme, header), hashToken(token));
    assert.equal(await cookies.findSessionTokenHash(globex, header), undefined);
  }
  const last = header.at(-1)!;
  assert.equal(await cookies.findSessionTokenHash(acme, header.slice(0, -1) + (last === 'A' ? 'B' : 'A')), undefined);
  assert.deepEqual(await cookies.findSessionTokenHash(acme, `theme=dark; ${header}`), hashToken(token));
  await assert.rejects(cookies.findSessionTokenHash(acme, `${header}; ${header}`), { code: 'FH_COOKIE_REFUSED' });

  key = new Uint8Array(32).fill(2);
  assert.equal(await cookies.findSessionTokenHash(acme, header), undefined);
});

test('whoever shows no session cookie of ours costs no look at the key, and odd headers are refused all the same', async () => {
  const cookies = createBrowserCookies(() => {
    throw new Error('the key was asked for');
  });
  const acme = newId('ten');
  assert.equal(await cookies.findSessionTokenHash(acme, undefined), undefined);
  assert.equal(await cookies.findSessionTokenHash(acme, 'theme=dark'), undefined);
  await assert.rejects(cookies.findSessionTokenHash(acme, '$Version=1; theme=dark'), { code: 'FH_COOKIE_REFUSED' });
  await assert.rejects(cookies.findSessionTokenHash(acme, `${sessionCookieName.toLowerCase()}=x`), {
    code: 'FH_COOKIE_REFUSED',
  });
});

test('only so many headers are remembered, and long ones not at all', async () => {
  const acme = newId('ten');
  const key = new Uint8Array(32).fill(3);
  const cookies = createBrowserCookies(() => key);
  const token = newToken();
  const header = (await cookies.setSession(acme, { token, sessionId: newId('ses'), generation: 0 })).split(';')[0]!;
  for (let index = 0; index < 200; index++)
    assert.deepEqual(await cookies.findSessionTokenHash(acme, `${header}; n=${index}`), hashToken(token));
  assert.deepEqual(await cookies.findSessionTokenHash(acme, `${header}; n=${'x'.repeat(3_000)}`), hashToken(token));
});
