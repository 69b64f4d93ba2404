import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAuthority, readAuthority } from './host.ts';
import { addressKey } from './limits.ts';

const rules = { domain: 'localhost', publicPort: 8443 };
const refused = { code: 'FH_HOST_INVALID' };

test('hosts as they may be written', () => {
  assert.deepEqual(parseAuthority('acme.localhost:8443', rules), { kind: 'tenant', host: 'acme.localhost' });
  assert.deepEqual(parseAuthority('ACME.LocalHost:8443', rules), { kind: 'tenant', host: 'acme.localhost' });
  assert.deepEqual(parseAuthority('localhost:8443', rules), { kind: 'base', host: 'localhost' });
  assert.equal(parseAuthority('a.b.localhost:8443', rules).kind, 'foreign');
  assert.equal(parseAuthority('example.com:8443', rules).kind, 'foreign');
  assert.equal(parseAuthority('evillocalhost:8443', rules).kind, 'foreign');
  assert.equal(parseAuthority('127.0.0.1:8443', rules).kind, 'foreign');
  const standard = { domain: 'example.com', publicPort: 443 };
  assert.equal(parseAuthority('acme.example.com', standard).kind, 'tenant');
  assert.equal(parseAuthority('acme.example.com:443', standard).kind, 'tenant');
});

test('hosts as they may not be written', () => {
  for (const text of [
    '',
    ' ',
    'acme.localhost',
    'acme.localhost:',
    'acme.localhost:443',
    'acme.localhost:08443',
    'acme.localhost:8443:8443',
    'acme.localhost:99999',
    'acme.localhost.:8443',
    '.localhost:8443',
    'acme..localhost:8443',
    '-acme.localhost:8443',
    'acme-.localhost:8443',
    'ac_me.localhost:8443',
    'user@acme.localhost:8443',
    'acme.localhost:8443/',
    'acme.localhost:8443#',
    'acme.localhost:8443?x',
    'acme.localhost\\@evil:8443',
    'acme.localhost, globex.localhost:8443',
    'acme.localhost globex.localhost:8443',
    'acme.localhost\t:8443',
    'acme%2elocalhost:8443',
    '[::1]:8443',
    '*.localhost:8443',
    'acme.local\u212Aost:8443',
    'acmé.localhost:8443',
    `${'a'.repeat(64)}.localhost:8443`,
    `${'a.'.repeat(125)}localhost:8443`,
  ])
    assert.throws(() => parseAuthority(text, rules), refused, text);
});

test('whatever is sent: refused, or one lower-case name of the grammar', () => {
  const piece = fc.constantFrom(
    'acme',
    'globex',
    '.',
    '.localhost',
    ':8443',
    ':',
    '@',
    ' ',
    '\u0000',
    '/',
    '%',
    'A',
    '-',
    '_',
    '\u212A',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join('')),
      ),
      (text) => {
        let host: string;
        try {
          host = parseAuthority(text, rules).host;
        } catch (error) {
          return (error as { code: string }).code === 'FH_HOST_INVALID';
        }
        return /^[a-z0-9.-]{1,253}$/.test(host) && text.toLowerCase() === `${host}:8443`;
      },
    ),
    { numRuns: 2_000 },
  );
});

test('exactly one authority', () => {
  const read = (rawHeaders: string[], url = '/', httpVersionMajor = 1) =>
    readAuthority({ rawHeaders, url, httpVersionMajor });
  assert.equal(read(['Host', 'a', 'x', 'y']), 'a');
  assert.equal(read([':authority', 'a', 'host', 'a'], '/', 2), 'a');
  assert.throws(() => read([]), refused);
  assert.throws(() => read(['Host', 'a', 'host', 'a']), refused);
  assert.throws(() => read(['Host', 'a', 'HOST', 'b']), refused);
  assert.throws(() => read([':authority', 'a', 'host', 'b'], '/', 2), refused);
  assert.throws(() => read(['Host', 'a'], 'http://a/'), refused);
  assert.throws(() => read(['Host', 'a'], '*'), refused);
});

test('addresses are counted by who they belong to', () => {
  assert.equal(addressKey('192.0.2.7'), '192.0.2.7');
  assert.equal(addressKey('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(addressKey('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(addressKey('2001:db8:1:2::9'), addressKey('2001:0DB8:1:2:ffff::1'));
  assert.notEqual(addressKey('2001:db8:1:3::9'), addressKey('2001:db8:1:2::9'));
  assert.equal(addressKey('::1'), '0:0:0:0::/64');
  assert.equal(addressKey('fe80::1%eth0'), 'fe80:0:0:0::/64');
});
