import { promises as dns } from 'node:dns';
import type { ResolveName } from './types.ts';

/**
 * Asks the DNS servers of this machine for A and AAAA. Not `getaddrinfo`: that blocks one of four threads, which password hashing and files use as well, for as long as somebody's
 * name server likes; it reads /etc/hosts, where names of inside stand; and it completes names. `localhost` is this machine (RFC 6761, 6.3).
 */
export const askNameServers: ResolveName = async (name, signal) => {
  if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1'];
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 2 });
  const cancel = () => resolver.cancel();
  signal.throwIfAborted();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    for (const answer of answers) {
      if (answer.status === 'rejected' && !hasNone(answer.reason)) throw answer.reason;
    }
    return [];
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};

function hasNone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENODATA' || code === 'ENOTFOUND';
}
