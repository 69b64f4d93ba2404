import { readFileSync } from 'node:fs';

/** Of this release, from package.json. Apart from the program itself: commands that only ask need no more of it. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
