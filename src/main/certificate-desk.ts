import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { LocalAuthority } from '#src/keys/index.ts';
import { parseTenantName, type TenantRoute } from '#src/tenants/index.ts';

/**
 * Signs a gateway's certificate for one host of ours. Also for hosts that no tenant has, so that a browser which trusts the authority shows
 * the page that says so instead of a warning; but only names that a tenant could have, and few at a time, because strangers ask for those.
 */
export function createCertificateDesk({
  authority,
  domain,
  findRoute,
}: {
  authority: Pick<LocalAuthority, 'issue'>;
  domain: string;
  findRoute: (host: string) => Promise<TenantRoute | undefined>;
}): (host: string, publicKeyPem: string) => Promise<string | undefined> {
  const strangers = new RateLimiterMemory({ points: 20, duration: 1 });
  return async (host, publicKeyPem) => {
    if (host !== domain && !(await findRoute(host)) && !(await mayBeTold(host))) return undefined;
    return authority.issue(host, publicKeyPem);
  };

  async function mayBeTold(host: string): Promise<boolean> {
    const label = host.endsWith(`.${domain}`) ? host.slice(0, -domain.length - 1) : '';
    try {
      parseTenantName(label);
      await strangers.consume('all');
      return true;
    } catch {
      return false;
    }
  }
}
