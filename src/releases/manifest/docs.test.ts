/** docs/hosting-an-app.md says what the code does. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkManifest, factNames, limitRanges } from './index.ts';

const page = readFileSync(new URL('../../../docs/hosting-an-app.md', import.meta.url), 'utf8');

test('the example of the page can be added', () => {
  const examples = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map((match) => match[1]!);
  assert.equal(examples.length, 1);
  assert.deepEqual(checkManifest(Buffer.from(examples[0]!)).problems, []);
});

test('the page has every key, range, default and name', () => {
  const { manifest } = checkManifest(Buffer.from('{"name":"wiki","version":"1","start":"x"}'));
  const keys = Object.entries(manifest!).flatMap(([key, value]) =>
    ['health', 'identity', 'limits'].includes(key) ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key],
  );
  const rows = [...page.matchAll(/^\| `([a-zA-Z.]+)` \|/gm)].map((match) => match[1]!);
  assert.deepEqual(rows.toSorted(), keys.toSorted());
  for (const [name, { min, max, standard }] of Object.entries(limitRanges)) {
    const row = new RegExp(
      `^\\| \`limits\\.${name}\` \\| .*, ${grouped(min)} to ${grouped(max)}\\b.* \\| ${grouped(standard)} \\|$`,
      'm',
    );
    assert.match(page, row);
  }
  for (const name of factNames) assert.ok(page.includes(`\`$\{${name}}\``), name);
});

const grouped = (value: number) => value.toLocaleString('en');
