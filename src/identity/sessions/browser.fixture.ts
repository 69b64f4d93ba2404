/** For tests: a browser before some workers, as far as session cookies go. What is sent is sent with the cookie of that moment. */
import { silentLog, type TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createIdentity, type Identity } from '../identity.ts';
import type { TestTenant, TwoTenants } from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { sessionCookieName } from './cookie.ts';
import { decodeSessionKey, type SessionKey } from './session-key.ts';

export type Worker = Pick<Identity, 'authenticate' | 'renew'>;

export interface Response {
  readonly session: Session | undefined;
  readonly setCookie: string | undefined;
}

export class TestBrowser {
  readonly tenantId: TenantId;
  /** The `Cookie` header. */
  header: string;

  constructor(tenantId: TenantId, header: string) {
    this.tenantId = tenantId;
    this.header = header;
  }

  /** `cannotSet`: an answer that carries no cookies. `isLost`: it never arrives. */
  async request(worker: Worker, { cannotSet = false, isLost = false } = {}): Promise<Response> {
    const { header } = this;
    const session = await worker.authenticate(this.tenantId, header, { address: '192.0.2.7' });
    const setCookie = session && !cannotSet ? await worker.renew(this.tenantId, header) : undefined;
    if (setCookie !== undefined && !isLost) this.header = setCookie.slice(0, setCookie.indexOf(';'));
    return { session, setCookie };
  }
}

/** What a worker has of its own: nothing in common with others but the database. */
export function createWorker({ a, b, databases }: TwoTenants): Identity {
  const tenants = new Map([a, b].map((tenant) => [tenant.tenantId, tenant]));
  return createIdentity({
    databases,
    cookieKeyOf: (tenantId) => tenants.get(tenantId)!.cookieKey,
    knownCookieKeyOf: (tenantId) => tenants.get(tenantId)?.cookieKey,
    factorsKeyOf: (tenantId) => tenants.get(tenantId)!.factorsKey,
    log: silentLog,
  });
}

/** What is in a cookie or `Set-Cookie` header. */
export function keyIn({ tenantId, cookieKey }: TestTenant, header: string): SessionKey {
  const value = new RegExp(`${sessionCookieName}=([^;]+)`).exec(header)![1]!;
  return decodeSessionKey(
    createSealer(cookieKey).open(Buffer.from(value, 'base64url'), `${tenantId} ${sessionCookieName}`),
  );
}
