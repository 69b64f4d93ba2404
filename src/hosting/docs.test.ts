import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const top = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(top, path), 'utf8');

test('every example of docs/writing-an-app.md is code of the sample app', () => {
  const sources = ['index.ts', 'sample.test.ts', 'migrations/0001_notes.sql'].map((path) =>
    read(`apps/sample/${path}`),
  );
  const examples = [...read('docs/writing-an-app.md').matchAll(/```(?:ts|sql)\n([\s\S]*?)```/g)].map(
    (match) => match[1]!,
  );
  assert.ok(examples.length >= 8);
  for (const example of examples)
    assert.ok(
      sources.some((source) => source.includes(example)),
      `not in apps/sample:\n${example}`,
    );
});
