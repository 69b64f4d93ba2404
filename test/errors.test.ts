import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { errorCatalogue } from '#src/kernel/index.ts';
import { errorsPage, renderErrorDocs } from './support/error-docs.ts';

describe('the catalogue of errors', () => {
  it('is what docs/errors.md says', async () => {
    assert.equal(readFileSync(errorsPage, 'utf8'), await renderErrorDocs());
  });

  it('has statuses that fit, and words for a person', async () => {
    await renderErrorDocs();
    assert.ok(errorCatalogue.size > 50);
    for (const [code, { status, title, hint }] of errorCatalogue) {
      assert.match(code, /^FH_[A-Z][A-Z0-9_]+$/);
      assert.ok(status >= 400 && status < 600, `${code} has status ${status}`);
      for (const text of [title, hint ?? '']) assert.doesNotMatch(text, /!|oops|sorry|\bplease\b/i, code);
      assert.doesNotMatch(title, /\.$/, `${code}: a title has no full stop`);
    }
  });
});
