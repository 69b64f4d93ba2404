import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createHttpApp } from './index.ts';
import { chooseEncoding, loadPage, servePage } from './page.ts';

const script = 'console.log("hello");'.repeat(200);

async function makePage(t: TestContext, prefix: `/${string}` = '/') {
  const folder = await mkdtemp(join(tmpdir(), 'fh-page-'));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<meta nonce="__NONCE__"><script nonce="__NONCE__" src="x"></script>');
  await writeFile(join(folder, 'assets', 'index-BxY12_ab.js'), script);
  await writeFile(join(folder, 'assets', 'index-BxY12_ab.js.map'), '{}');
  await writeFile(join(folder, 'favicon.svg'), '<svg/>');
  await writeFile(join(folder, '.env'), 'SECRET=1');
  const app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock });
  servePage(app, await loadPage(folder), { prefix, except: ['/api/'] });
  t.after(() => app.close());
  return app;
}
const accept = 'text/html,*/*;q=0.8';

test('index.html with the nonce of the answer, for navigations only', async (t) => {
  const app = await makePage(t);
  for (const url of ['/', '/projects/7?tab=board']) {
    const { headers, body, statusCode } = await app.inject({ url, headers: { accept } });
    assert.equal(statusCode, 200);
    const [first, second] = [...body.matchAll(/nonce="([^"]+)"/g)].map((match) => match[1]!);
    assert.ok(first && first === second && first !== '__NONCE__');
    assert.ok((headers['content-security-policy'] as string).includes(`script-src 'self' 'nonce-${first}'`));
    assert.equal(headers['cache-control'], 'no-store');
  }
  assert.equal((await app.inject({ url: '/projects/7' })).statusCode, 404);
  assert.equal(
    (await app.inject({ url: '/projects/7', headers: { accept, 'sec-fetch-mode': 'cors' } })).statusCode,
    404,
  );
  assert.equal((await app.inject({ url: '/api/nothing', headers: { accept } })).json().code, 'FH_NOT_FOUND');
  for (const url of ['/assets/missing.js', '/.env', '/assets/index-BxY12_ab.js.map', '/assets/../.env', '/..%2f.env'])
    assert.equal((await app.inject({ url, headers: { accept } })).statusCode, 404, url);
});

test('assets are compressed, immutable when hashed, and revalidated by ETag', async (t) => {
  const app = await makePage(t, '/-/');
  const url = '/-/assets/index-BxY12_ab.js';
  const plain = await app.inject(url);
  assert.equal(plain.body, script);
  assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
  assert.match(plain.headers['content-type'] as string, /^text\/javascript/);
  const br = await app.inject({ url, headers: { 'accept-encoding': 'gzip, deflate, br' } });
  assert.equal(br.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(br.rawPayload).toString(), script);
  const gz = await app.inject({ url, headers: { 'accept-encoding': 'gzip, br;q=0' } });
  assert.equal(gz.headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(gz.rawPayload).toString(), script);
  const etag = plain.headers.etag as string;
  assert.equal((await app.inject({ url, headers: { 'if-none-match': etag } })).statusCode, 304);
  assert.equal((await app.inject('/-/favicon.svg')).headers['cache-control'], 'public, max-age=300');
  assert.equal((await app.inject({ url: '/-/', headers: { accept } })).statusCode, 200);
  assert.equal((await app.inject({ method: 'HEAD', url })).body, '');
});

test('a page that is not built says so', async () => {
  await assert.rejects(loadPage('/nowhere/at/all'), { code: 'FH_PAGE_NOT_BUILT' });
});

test('Accept-Encoding', () => {
  assert.equal(chooseEncoding(undefined), undefined);
  assert.equal(chooseEncoding('gzip;q=1.0, br;q=0.5'), 'br');
  assert.equal(chooseEncoding('xbr, gzip'), 'gzip');
  assert.equal(chooseEncoding('br;q=0'), undefined);
});
