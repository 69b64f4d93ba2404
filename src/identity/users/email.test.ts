import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressRange } from '../sign-in/address.ts';
import { emailKeyOf, nameFromEmail, parseEmail, parsePersonName } from './email.ts';

test('addresses as people have them are taken, and compared without case and composition', () => {
  for (const good of [
    'a@b',
    'Alice.Miller+tag@Example.COM',
    'o\u0308@ex.de',
    'user@xn--bcher-kva.example',
    'пример@почта.рф',
    "o'neil@x.org",
    `${'a'.repeat(64)}@${'b'.repeat(63)}.example`,
  ])
    parseEmail(good);
  assert.equal(parseEmail(' A@B.Example ').email, 'A@B.Example');
  assert.equal(parseEmail('O\u0308@EX.de').emailKey, parseEmail('ö@ex.DE').emailKey);
});

test('what is no address is refused', () => {
  for (const bad of [
    '',
    'a',
    '@b',
    'a@',
    'a@@b',
    'a b@c',
    'a@b c',
    'a\n@b',
    'a\u0000@b',
    '"a b"@c',
    'a@[127.0.0.1]',
    'a..b@c',
    '.a@b',
    'a.@b',
    'a@b..c',
    'a@.b',
    'a@-b',
    'a,b@c',
    '<a@b>',
    'a\u202e@b',
    `${'a'.repeat(65)}@b`,
    `a@${'b.'.repeat(130)}b`,
    'x'.repeat(1_000_000),
  ])
    assert.throws(() => parseEmail(bad), { code: 'FH_EMAIL_REFUSED' }, bad.slice(0, 40));
});

test('the key of any text is text that the database takes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const key = emailKeyOf(text);
      assert.ok(key.isWellFormed() && !key.includes('\0'));
    }),
  );
});

test('names are trimmed, bounded and visible', () => {
  assert.equal(parsePersonName('  Ada \t Lovelace '), 'Ada Lovelace');
  assert.equal(parsePersonName('👩‍🔬 Ada'), '👩‍🔬 Ada');
  for (const bad of ['', '   ', 'x'.repeat(101), 'a\u0000b', 'a\u202eb', 'a\u200bb', '\ud800'])
    assert.throws(() => parsePersonName(bad), { code: 'FH_NAME_REFUSED' }, JSON.stringify(bad));
  assert.equal(nameFromEmail('ada@example.com'), 'ada');
});

test('addresses are counted by network', () => {
  const ranges: Record<string, string> = {
    '192.0.2.77': '192.0.2.0/24',
    '::ffff:192.0.2.77': '192.0.2.0/24',
    '::1': '0:0:0:0::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:0db8:0000:0000:aaaa::1': '2001:db8:0:0::/64',
    '2001:db8:0:1:2:3:4:5': '2001:db8:0:1::/64',
    '2001:db8:1:2:3:4:192.0.2.1': '2001:db8:1:2::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '': 'unknown',
    'not an address': 'unknown',
  };
  for (const [address, range] of Object.entries(ranges)) assert.equal(addressRange(address), range);
});
