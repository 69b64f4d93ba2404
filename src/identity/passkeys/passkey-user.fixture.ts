/** For tests: a user of two tenants with passkeys. */
import { FactorUser } from '../second-factors/factor-user.fixture.ts';
import { cookieHeaderOf, goodPassword, started, type TestTenant, type TwoTenants } from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { type Algorithm, SoftwareAuthenticator, type Tricks } from './software-authenticator.fixture.ts';
import type { RelyingParty } from './types.ts';

export const partyOf = ({ route }: TestTenant): RelyingParty => ({
  id: route.host,
  origin: `https://${route.host}:8443`,
  title: route.title,
});

export interface WithPasskey {
  readonly authenticator: SoftwareAuthenticator;
  readonly session: Session;
  readonly header: string;
  readonly recoveryCodes: readonly string[];
}

export class PasskeyUser {
  readonly factor: FactorUser;
  readonly #two: TwoTenants;

  private constructor(two: TwoTenants, factor: FactorUser) {
    this.#two = two;
    this.factor = factor;
  }

  static async create(two: TwoTenants, role: 'owner' | 'admin' | 'member' = 'member'): Promise<PasskeyUser> {
    return new PasskeyUser(two, await FactorUser.create(two, role));
  }

  /** The first factor of somebody who has none. */
  async enrol(
    tenant = this.#two.a,
    options: { algorithm?: Algorithm; credentialId?: Buffer } = {},
  ): Promise<WithPasskey> {
    const { factor } = this;
    const entered = await started(factor.enter(goodPassword, factor.caller(undefined, factor.addressOf(9)), tenant));
    const here = factor.caller(cookieHeaderOf(entered.setCookies), factor.addressOf(9));
    const authenticator = new SoftwareAuthenticator(partyOf(tenant).origin, options);
    const done = await this.add(entered.session, authenticator, here, tenant);
    const header = cookieHeaderOf(done.setCookies);
    return { authenticator, session: done.session, header, recoveryCodes: done.recoveryCodes };
  }

  async add(
    session: Session,
    authenticator: SoftwareAuthenticator,
    here = this.factor.caller(),
    tenant = this.#two.a,
    {
      shown = { password: goodPassword },
      tricks = {},
      name = 'Laptop',
    }: { shown?: object; tricks?: Tricks; name?: string } = {},
  ) {
    const { identity } = this.#two;
    const actor = { session, address: here.address, userAgent: 'test' };
    const options = await identity.beginPasskey(tenant.tenantId, actor, partyOf(tenant), shown as { password: string });
    const made = { name, attestation: authenticator.create(options, tricks) };
    return identity.addPasskey(tenant.tenantId, actor, made, here);
  }

  /** A browser that is asked for a passkey at the sign-in page. */
  async begin(tenant = this.#two.a, header?: string) {
    const begun = await this.#two.identity.beginPasskeySignIn(
      tenant.tenantId,
      partyOf(tenant),
      this.factor.caller(header),
    );
    return { options: begun.options, header: cookieHeaderOf(begun.setCookies) };
  }

  /** The whole of it, with what is wrong about it. */
  async signIn(authenticator: SoftwareAuthenticator, tricks: Tricks = {}, tenant = this.#two.a) {
    const { options, header } = await this.begin(tenant);
    const assertion = authenticator.get(options, tricks);
    return this.#two.identity.signInWithPasskey(tenant.tenantId, assertion, this.factor.caller(header));
  }
}
