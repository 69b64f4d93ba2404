import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { formatHeader, parseHeader } from './object-header.ts';
import { canonicalJson } from './signing.ts';
import type { ObjectHeader } from './types.ts';

const header: ObjectHeader = {
  kind: 'wal',
  keyId: `${newId('clu')}.1`,
  timeline: 1,
  start: '16/B374D848',
  at: '2026-11-22T03:00:00.000Z',
  last: false,
};

test('headers are read strictly: one text per header, flat, known kinds, no traps', () => {
  const text = canonicalJson(header);
  const with1 = (more: string) => `${text.slice(0, -1)},${more}}`;
  const refused: (string | Buffer)[] = [
    '',
    '{}',
    '[]',
    'null',
    '"wal"',
    ` ${text}`,
    `${text}\n`,
    text.replace('"kind":"wal",', ''),
    text.replace('"wal"', '"wall"'),
    text.replace('"wal"', '"constructor"'),
    text.replace('"wal"', '"__proto__"'),
    text.replace(/"keyId":"[^"]*",/, ''),
    text.replace(/"keyId":"[^"]*"/, '"keyId":"installation.0"'),
    text.replace(/"keyId":"[^"]*"/, '"keyId":"installation.01"'),
    text.replace(/"keyId":"[^"]*"/, '"keyId":"../../root.1"'),
    text.replace(/"keyId":"[^"]*"/, '"keyId":1'),
    text.replace('false', 'null'),
    text.replace('false', '{}'),
    text.replace('false', '[1]'),
    text.replace('false', '1e3'),
    text.replace('false', '1.5'),
    text.replace('false', '-0'),
    text.replace('false', '9007199254740993'),
    text.replace('false', '"\\u0061"'),
    text.replace('false', '"\\ud800"'),
    with1('"__proto__":{"polluted":true}'),
    with1('"__proto__":1'),
    with1('"constructor":1'),
    with1('"toString":1'),
    with1('"kind":"wal"'),
    with1('"zz-top":1'),
    with1('"Zz":1'),
    `\ufeff${text}`,
    Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"zz":"\xff"}', 'latin1')]),
    with1(`"zz":"${'z'.repeat(4_096)}"`),
    '['.repeat(4_096),
  ];
  for (const bad of refused)
    assert.throws(() => parseHeader(Buffer.from(bad)), { code: 'FH_KEY_UNSEAL' }, bad.toString().slice(0, 200));
  assert.deepEqual(parseHeader(Buffer.from(text)), header);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('whoever seals with a header that is none has made a mistake', () => {
  const bad: object[] = [
    { ...header, kind: 'letter' },
    { ...header, keyId: 'usr_1.1' },
    { ...header, at: undefined },
    { ...header, at: null },
    { ...header, at: {} },
    { ...header, timeline: 0.5 },
    { ...header, timeline: Number.NaN },
    { ...header, text: '\ud800' },
    { ...header, text: 'x'.repeat(4_096) },
    { ...header, 'a b': 1 },
    JSON.parse('{"kind":"wal","keyId":"installation.1","__proto__":1}'),
    [],
  ];
  for (const one of bad) assert.throws(() => formatHeader(one as ObjectHeader), TypeError, JSON.stringify(one));
});
