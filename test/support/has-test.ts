import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = new Map<string, string>();

/** Whether the test file has a test of exactly this title, as it stands in the source. For pages that name the tests that show what they say. */
export function hasTest(file: string, title: string): boolean {
  const path = `${root}${file}`;
  if (!file.endsWith('.test.ts') || !existsSync(path)) return false;
  const source = sources.get(file) ?? readFileSync(path, 'utf8');
  sources.set(file, source);
  return new RegExp(`\\b(?:test|it)\\(\\s*(['"\`])${RegExp.escape(title)}\\1`).test(source);
}
