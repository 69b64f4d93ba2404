import { Resolver } from 'node:dns/promises';
import type { ResolveTxt } from '#src/identity/index.ts';

/** Asks the given servers, or those of this machine, for TXT records. For proofs of domains: an answer is wanted within seconds, by a person. */
export function createTxtResolver(servers: readonly string[]): ResolveTxt {
  return async (name) => {
    const resolver = new Resolver({ timeout: 3_000, tries: 2 });
    if (servers.length > 0) resolver.setServers(servers);
    try {
      const records = await resolver.resolveTxt(name);
      return records.map((parts) => parts.join(''));
    } catch (error) {
      if (/^(ENOTFOUND|ENODATA)$/.test((error as NodeJS.ErrnoException).code ?? '')) return [];
      throw error;
    }
  };
}
