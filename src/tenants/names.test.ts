import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseEmail, parseTenantName, parseTitle, suggestTenantName } from './names.ts';

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('names that are host labels for everybody are taken', () => {
  for (const name of ['acme', 'a1b', '4you', 'a-b-c', 'x'.repeat(40), '3m-company', 'freeholder', 'www3']) {
    assert.equal(parseTenantName(name), name);
  }
});

test('everything else is refused, with a name to use where there is one', () => {
  const corpus: [input: unknown, code: string, suggestion?: string][] = [
    ['', 'FH_TENANT_NAME_INVALID'],
    ['ab', 'FH_TENANT_NAME_INVALID'],
    ['x'.repeat(41), 'FH_TENANT_NAME_INVALID'],
    ['x'.repeat(1_000_000), 'FH_TENANT_NAME_INVALID'],
    ['-acme', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['acme-', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['a--b', 'FH_TENANT_NAME_INVALID', 'a-b'],
    ['xn--bcher-kva', 'FH_TENANT_NAME_INVALID', 'xn-bcher-kva'],
    ['12345', 'FH_TENANT_NAME_INVALID'],
    ['Acme', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['Bücher', 'FH_TENANT_NAME_INVALID', 'bucher'],
    ['Straße', 'FH_TENANT_NAME_INVALID', 'strasse'],
    ['Łódź', 'FH_TENANT_NAME_INVALID', 'lodz'],
    // Cyrillic а, which looks like the Latin one.
    ['\u0430cme', 'FH_TENANT_NAME_INVALID', 'cme'],
    ['株式会社', 'FH_TENANT_NAME_INVALID'],
    ['acme corp', 'FH_TENANT_NAME_INVALID', 'acme-corp'],
    ['acme.evil', 'FH_TENANT_NAME_INVALID', 'acme-evil'],
    ['acme/..', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['acme\u0000', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['acme\n', 'FH_TENANT_NAME_INVALID', 'acme'],
    ['ac\u200bme', 'FH_TENANT_NAME_INVALID'],
    ['ａｃｍｅ', 'FH_TENANT_NAME_INVALID', 'acme'],
    ["a'; DROP", 'FH_TENANT_NAME_INVALID', 'a-drop'],
    ['__proto__', 'FH_TENANT_NAME_INVALID', 'proto'],
    [undefined, 'FH_TENANT_NAME_INVALID'],
    [['acme'], 'FH_TENANT_NAME_INVALID'],
    ...['www', 'api', 'admin', 'console', 'mail', 'localhost', 'freehold', 'status', 'wpad', 'postmaster'].map(
      (name): [string, string] => [name, 'FH_TENANT_NAME_RESERVED'],
    ),
  ];
  for (const [input, code, suggestion] of corpus) {
    assert.equal(
      codeOf(() => parseTenantName(input)),
      code,
      JSON.stringify(input)?.slice(0, 60),
    );
    if (suggestion) assert.equal(suggestTenantName(input as string), suggestion);
  }
});

test('whatever is taken is one plain label, and every suggestion is taken', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-z0-9-]{0,45}$/)), (input) => {
      if (codeOf(() => parseTenantName(input)) === undefined) assert.match(input, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      const suggestion = suggestTenantName(input);
      if (suggestion !== undefined) assert.equal(parseTenantName(suggestion), suggestion);
    }),
  );
});

test('addresses and titles', () => {
  for (const good of ['ada@example.com', 'a.b+c@x.y.museum', "o'neil@localhost", `${'a'.repeat(64)}@example.com`]) {
    assert.equal(parseEmail(good), good);
  }
  for (const bad of [
    '',
    'a',
    '@x',
    'a@',
    'a b@x.y',
    'a@x..y',
    'a@-x.y',
    'a@x.y\n',
    '"a b"@x.y',
    `${'a'.repeat(65)}@x.y`,
    'ä@x.y',
    7,
  ]) {
    assert.equal(
      codeOf(() => parseEmail(bad)),
      'FH_TENANT_EMAIL_INVALID',
      String(bad),
    );
  }
  assert.equal(parseTitle('  Bücher & Söhne  '), 'Bücher & Söhne');
  for (const bad of ['', '   ', 'x'.repeat(121), 'a\u202eb', 'a\u0000b', '\ud800', 5]) {
    assert.equal(
      codeOf(() => parseTitle(bad)),
      'FH_TENANT_TITLE_INVALID',
    );
  }
});
