import type { Config } from './config.ts';

/** Where a set-up link leads. The token is in the fragment: it reaches no log and no referrer. */
export function setupUrlOf(config: Pick<Config, 'consolePort'>, token: string): string {
  return `https://localhost:${config.consolePort}/setup#setup=${token}`;
}
