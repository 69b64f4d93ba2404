/** For tests: a user of two tenants with an app for codes, before browsers that the test drives. */
import assert from 'node:assert/strict';
import { createSealer } from '#src/keys/index.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { totpCode } from './totp.ts';

export interface Enrolled {
  readonly session: Session;
  readonly header: string;
  readonly recoveryCodes: readonly string[];
}

export const gone = { code: 'FH_CHALLENGE_NOT_FOUND' };
/** Another code than this one. */
export const other = (code: string) => String((Number(code) + 500_000) % 1_000_000).padStart(6, '0');

let serial = 0;

/** The same user, id included, in both tenants; addresses that nobody had before, so that what one test counts is none of another's. */
export class FactorUser {
  readonly two: TwoTenants;
  readonly email: string;
  readonly userId: string;
  readonly serial: number;

  private constructor(two: TwoTenants, email: string, userId: string) {
    this.two = two;
    this.email = email;
    this.userId = userId;
    this.serial = serial;
  }

  static async create(two: TwoTenants, role: 'owner' | 'admin' | 'member' = 'member'): Promise<FactorUser> {
    const email = `twin${++serial}@example.com`;
    return new FactorUser(two, email, await createTwins(two, email, { role }));
  }

  readonly query = <T>(tenant: TestTenant, text: string, values: readonly unknown[] = []): Promise<T[]> =>
    this.two.databases.platform.transact(tenant.tenantId, (db) => db.query(text, values) as Promise<T[]>);

  readonly addressOf = (number = 1) => `10.${this.serial}.${number}.1`;

  readonly caller = (cookieHeader?: string, address = this.addressOf()) => ({
    cookieHeader,
    address,
    userAgent: 'test',
  });

  readonly enter = (password = goodPassword, from: object = this.caller(), tenant = this.two.a) =>
    this.two.identity.signIn(tenant.tenantId, { email: this.email, password }, from);

  /** Details of the events of one name that concern the user. */
  async events(name: string, tenant = this.two.a): Promise<Record<string, unknown>[]> {
    const rows = await this.query<{ details: Record<string, unknown> }>(
      tenant,
      'SELECT details FROM freehold.audit_events WHERE name = $1 AND subject = $2',
      [name, this.userId],
    );
    return rows.map(({ details }) => details);
  }

  /** What the user was told, in order. */
  async mail(): Promise<string[]> {
    await this.two.identity.settle();
    return this.two.mail.filter(({ to }) => to === this.email).map(({ kind }) => kind);
  }

  async sessions(tenant = this.two.a): Promise<number> {
    return (await this.query(tenant, 'SELECT 1 FROM freehold.sessions WHERE user_id = $1', [this.userId])).length;
  }

  /** What the user's app shows; as if none had been used before, so that a test need not wait for the next. */
  async code(tenant = this.two.a): Promise<string> {
    const [row] = await this.query<{ sealed_secret: Buffer; now: number }>(
      tenant,
      `UPDATE freehold.totp_factors SET last_step = 0 WHERE user_id = $1
       RETURNING sealed_secret, extract(epoch FROM clock_timestamp())::float8 AS now`,
      [this.userId],
    );
    const secret = createSealer(tenant.factorsKey).open(row!.sealed_secret, `${tenant.tenantId} totp ${this.userId}`);
    return totpCode(secret, Math.floor(row!.now / 30));
  }

  async enrol(tenant = this.two.a): Promise<Enrolled> {
    const { identity } = this.two;
    const from = this.caller(undefined, this.addressOf(9));
    const entered = await started(this.enter(goodPassword, from, tenant));
    const actor = { session: entered.session };
    await identity.beginTotp(tenant.tenantId, actor, tenant.route, { password: goodPassword });
    const code = await this.code(tenant);
    const here = this.caller(cookieHeaderOf(entered.setCookies), from.address);
    const done = await identity.confirmTotp(tenant.tenantId, actor, code, here);
    return { session: done.session, header: cookieHeaderOf(done.setCookies), recoveryCodes: done.recoveryCodes };
  }

  /** The password is right; @returns the cookies of the browser in which the code is awaited */
  async awaited(from = this.caller(), tenant = this.two.a): Promise<string> {
    const result = await this.enter(goodPassword, from, tenant);
    assert.equal(result.session, undefined);
    return [from.cookieHeader, cookieHeaderOf(result.setCookies)].filter(Boolean).join('; ');
  }

  readonly complete = (header: string | undefined, code: string, tenant = this.two.a, address?: string) =>
    this.two.identity.completeSignIn(tenant.tenantId, { code }, this.caller(header, address));
}
