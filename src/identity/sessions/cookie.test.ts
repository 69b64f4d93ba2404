import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomBytes } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createTokenCookie, deviceCookieName, newToken, parseCookies, sessionCookieName } from './cookie.ts';

const ours = [sessionCookieName, deviceCookieName];
const parse = (header: string | undefined) => parseCookies(header, ours);

test('our cookies are found among others', () => {
  const cookies = parse(`theme=dark; ${sessionCookieName}=abc;${deviceCookieName}=def; empty=; alone; theme=second`);
  assert.equal(cookies.get(sessionCookieName), 'abc');
  assert.equal(cookies.get(deviceCookieName), 'def');
  assert.equal(cookies.get('theme'), 'dark');
  assert.deepEqual([...parse(undefined)], []);
  assert.deepEqual([...parse('')], []);
});

test('what parsers disagree about is refused', () => {
  const name = sessionCookieName;
  for (const header of [
    `${name}=a; ${name}=b`,
    `${name}=a; x=1; ${name}=a`,
    `${name}=a; ${name.toUpperCase()}=b`,
    `__HOST-freehold=a`,
    name,
    `$Version=1; ${name}=a`,
    `x=1; $Path=/; ${name}=a`,
    `x="a; ${name}=evil"`,
    `${name}="a"`,
    `${name}=a\u0000`,
    `\t${name}=a`,
    `${name}=a\r\nX: y`,
    `${name}=${'a'.repeat(4096)}`,
    `x=${'a'.repeat(5000)}`,
  ])
    assert.throws(() => parse(header), { code: 'FH_COOKIE_REFUSED', status: 400 }, header.slice(0, 60));
});

test('names of built-in properties are names like any other', () => {
  const cookies = parse('__proto__=x; constructor=y; toString=z');
  assert.equal(cookies.get('__proto__'), 'x');
  assert.equal(cookies.get('hasOwnProperty'), undefined);
  assert.equal(({} as Record<string, unknown>).x, undefined);
});

test('any header gives a map or the one refusal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (header) => {
      try {
        parse(header);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'FH_COOKIE_REFUSED');
      }
    }),
  );
});

test('a token comes back for its scope, name and key only, in one spelling', () => {
  const options = { maxAgeSeconds: 60, sameSite: 'Lax' } as const;
  const session = createTokenCookie({ name: sessionCookieName, ...options });
  const device = createTokenCookie({ name: deviceCookieName, ...options });
  const sealer = createSealer(randomBytes(32));
  const token = newToken();
  const line = session.set(sealer, 'ten_a', token);
  assert.match(line, /^__Host-freehold=[A-Za-z0-9_-]{82}; Max-Age=60; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
  const value = /=([^;]+)/.exec(line)![1]!;
  assert.deepEqual(session.open(sealer, 'ten_a', value), token);
  assert.equal(session.open(sealer, 'ten_b', value), undefined);
  assert.equal(device.open(sealer, 'ten_a', value), undefined);
  assert.equal(session.open(createSealer(randomBytes(32)), 'ten_a', value), undefined);
  // The last of 82 characters has four unused bits: sixteen spellings in a lenient decoder, one here.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const good = [...alphabet].filter((last) => session.open(sealer, 'ten_a', value.slice(0, -1) + last) !== undefined);
  assert.deepEqual(good, [value.at(-1)]);
  assert.match(session.clear(), /^__Host-freehold=; Max-Age=0; Path=\/; Secure; HttpOnly/);
});
