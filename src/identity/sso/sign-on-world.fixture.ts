/** For tests: two tenants with the same people, a provider for both, and browsers that sign in over it. */
import assert from 'node:assert/strict';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import { createSamlEngine, type SamlEngine } from '../saml/index.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import type { PeopleInput } from './connection-input.ts';
import type { NewSamlInput } from './connections.ts';
import type { SignOnOutcome } from './flow.ts';
import { startOidcProvider, type TestPerson, type TestProvider } from './oidc-provider.fixture.ts';
import type { ConnectionId } from './types.ts';

export const originOf = (tenant: TestTenant) => `https://${tenant.route.host}`;
export const shown = { password: goodPassword };

export class SignOnWorld {
  readonly two: TwoTenants;
  readonly provider: TestProvider;
  /** TXT records by name. */
  readonly records: Map<string, string[]>;
  readonly ownerId: string;
  readonly saml: SamlEngine;

  private constructor(
    two: TwoTenants,
    provider: TestProvider,
    records: Map<string, string[]>,
    ownerId: string,
    saml: SamlEngine,
  ) {
    this.saml = saml;
    this.two = two;
    this.provider = provider;
    this.records = records;
    this.ownerId = ownerId;
  }

  /** `outgoing`: to other servers than the provider of OpenID Connect. */
  static async start(outgoing?: Outgoing): Promise<SignOnWorld> {
    const provider = await startOidcProvider(
      ['acme', 'brick'].map((name) => `https://${name}.localhost/-/sign-on/callback`),
    );
    const records = new Map<string, string[]>();
    const saml = createSamlEngine({ clock: systemClock, log: silentLog });
    const resolveTxt = async (name: string) => records.get(name) ?? [];
    const two = await startTwoTenants({ signOn: { outgoing: outgoing ?? provider.outgoing, resolveTxt, saml } });
    const ownerId = await createTwins(two, 'owner@elsewhere.example', { role: 'owner' });
    return new SignOnWorld(two, provider, records, ownerId, saml);
  }

  async stop(): Promise<void> {
    await this.two.stop();
    await this.saml.stop();
    await this.provider.stop();
  }

  /** An owner who signed in with the password. */
  async owner(tenant: TestTenant = this.two.a) {
    const { session } = await started(
      this.two.identity.signIn(tenant.tenantId, { email: 'owner@elsewhere.example', password: goodPassword }, {}),
    );
    return { session, address: '192.0.2.9' };
  }

  /** A connection to the provider that speaks for `domain`, and is on. */
  async connect(
    people: PeopleInput & { readonly domain?: string; readonly on?: boolean; readonly saml?: NewSamlInput } = {},
    tenant: TestTenant = this.two.a,
  ): Promise<ConnectionId> {
    const { domain = 'people.example', on = true, saml, ...input } = people;
    const { identity, databases } = this.two;
    const { tenantId } = tenant;
    const owner = await this.owner(tenant);
    const { issuer, clientId, clientSecret } = this.provider;
    const connectionId = await identity.createConnection(
      tenantId,
      owner,
      saml
        ? { kind: 'saml', name: 'The works', ...saml, ...input }
        : { kind: 'oidc', name: 'The works', issuer, clientId, clientSecret, ...input },
      shown,
    );
    // Of an earlier connection of this tenant.
    await databases.platform.transact(tenantId, (db) =>
      db.query('DELETE FROM freehold.sign_on_domains WHERE domain = $1', [domain]),
    );
    const { token } = await identity.addDomain(tenantId, owner, { domain, connectionId }, shown);
    this.records.set(`_freehold-challenge.${domain}`, ['something else', token]);
    await identity.proveDomain(tenantId, owner, domain);
    if (on)
      await databases.platform.transact(tenantId, (db) =>
        db.query(
          `UPDATE freehold.sign_on_connections SET state = 'on', last_test = '{"passed": true}' WHERE connection_id = $1`,
          [connectionId],
        ),
      );
    return connectionId;
  }

  /** Begins in a browser of its own; @returns its cookies and the address of the provider */
  async begin(
    connectionId: string,
    { next, cookie, tenant = this.two.a }: { next?: string; cookie?: string; tenant?: TestTenant } = {},
  ) {
    const { url, setCookies } = await this.two.identity.beginSignOn(
      tenant.tenantId,
      originOf(tenant),
      { connectionId, next },
      { cookieHeader: cookie, address: '192.0.2.1' },
    );
    return { url, cookie: cookieHeaderOf(setCookies) };
  }

  finish(query: string, cookie: string | undefined, tenant: TestTenant = this.two.a): Promise<SignOnOutcome> {
    return this.two.identity.finishOidc(tenant.tenantId, originOf(tenant), query, {
      cookieHeader: cookie,
      address: '192.0.2.1',
      userAgent: 'test',
    });
  }

  /** The whole way. */
  async enter(connectionId: string, who: TestPerson, tenant: TestTenant = this.two.a) {
    this.provider.who = who;
    const { url, cookie } = await this.begin(connectionId, { tenant });
    const outcome = await this.finish(await this.provider.signIn(url), cookie, tenant);
    assert.equal(outcome.tested, undefined);
    return outcome as Exclude<SignOnOutcome, { tested: ConnectionId }>;
  }

  query<T>(text: string, values: readonly unknown[] = [], tenant: TestTenant = this.two.a): Promise<T[]> {
    return this.two.databases.platform.transact(tenant.tenantId, (db) => db.query(text, values) as Promise<T[]>);
  }

  /** Reasons of refused sign-ins, the newest last. */
  async reasons(tenant: TestTenant = this.two.a): Promise<string[]> {
    const rows = await this.query<{ reason: string }>(
      `SELECT details ->> 'reason' AS reason FROM freehold.audit_events WHERE name = 'session.sign_on_failed' ORDER BY position`,
      [],
      tenant,
    );
    return rows.map(({ reason }) => reason);
  }

  async sessions(tenant: TestTenant = this.two.a): Promise<number> {
    return (await this.query('SELECT 1 FROM freehold.sessions', [], tenant)).length;
  }
}

let serial = 0;
/** Somebody whom no test had before. */
export function newPerson(more: Partial<TestPerson> = {}): TestPerson & { readonly email: string } {
  const number = ++serial;
  return {
    sub: `subject-${number}`,
    email: `person${number}@people.example`,
    email_verified: true,
    name: `Person ${number}`,
    ...more,
  } as TestPerson & { readonly email: string };
}
