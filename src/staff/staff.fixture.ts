/** For tests: staff with an app for codes, on a control database of the test's own. */
import assert from 'node:assert/strict';
import { migrate } from '#src/databases/index.ts';
import { totpCode } from '#src/identity/index.ts';
import { randomBytes } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createStaff, type Staff } from './index.ts';

export const password = 'seven purple lanterns drift';
export const person = { email: 'Sam@operator.example', name: 'Sam Ode', password };
export const callerOf = (cookieHeader?: string, address = '192.0.2.1') => ({
  cookieHeader,
  address,
  userAgent: 'test',
});
/** Another code than this one. */
export const other = (code: string) => String((Number(code) + 500_000) % 1_000_000).padStart(6, '0');

/** As a browser sends back what it was given; cookies that were removed are left out. */
export function headerOf(setCookies: readonly string[]): string {
  return setCookies
    .filter((line) => !line.includes('Max-Age=0'))
    .map((line) => line.slice(0, line.indexOf(';')))
    .join('; ');
}

export interface TestStaff {
  readonly cluster: TestCluster;
  readonly db: Pool;
  readonly staff: Staff;
  readonly keys: { readonly sessionKey: Buffer; readonly factorsKey: Buffer };
  /** Removes every member, link and count. */
  clear(): Promise<void>;
  /** The member of `person`, without a factor. @returns the cookies */
  setUp(): Promise<string>;
  /** Sets up the app in this browser. */
  enrol(header: string): Promise<{ header: string; recoveryCodes: readonly string[] }>;
  /** The member of `person`, with a factor. */
  setUpEnrolled(): Promise<{ header: string; recoveryCodes: readonly string[] }>;
  /** What the app of the only member shows; as if none had been used before, so that a test need not wait for the next. */
  code(): Promise<string>;
  /** The password is right. @returns the cookies of the browser in which the code is awaited */
  awaited(address?: string): Promise<string>;
  /** Details of the events of one name, the oldest first. */
  events(name: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export async function startTestStaff(): Promise<TestStaff> {
  const cluster = await startTestCluster();
  await migrate(cluster.control, { schema: 'public', folder: new URL('../../migrations/control/', import.meta.url) });
  const db = createPool(cluster.control, { max: 8, applicationName: 'test' });
  const keys = { sessionKey: randomBytes(32), factorsKey: randomBytes(32) };
  const staff = createStaff({ db, ...keys });

  async function code(): Promise<string> {
    const [row] = await db.query<{ staff_id: string; sealed_secret: Buffer; now: number }>(
      `UPDATE staff_totp_factors SET last_step = 0
       RETURNING staff_id, sealed_secret, extract(epoch FROM clock_timestamp())::float8 AS now`,
    );
    const secret = createSealer(keys.factorsKey).open(row!.sealed_secret, `console totp ${row!.staff_id}`);
    return totpCode(secret, Math.floor(row!.now / 30));
  }
  async function setUp(): Promise<string> {
    const { token } = await staff.createSetupLink();
    return headerOf((await staff.completeSetup({ token, ...person }, callerOf())).setCookies);
  }
  async function enrol(header: string) {
    await staff.beginTotp(undefined, callerOf(header));
    const { setCookies, recoveryCodes } = await staff.confirmTotp(await code(), callerOf(header));
    return { header: headerOf(setCookies), recoveryCodes };
  }
  return {
    cluster,
    db,
    staff,
    keys,
    code,
    setUp,
    enrol,
    setUpEnrolled: async () => enrol(await setUp()),
    async clear() {
      for (const table of ['staff', 'staff_setup_tokens', 'staff_sign_in_failures'])
        await db.query(`DELETE FROM ${table}`);
    },
    async awaited(address) {
      const entered = await staff.signIn(person, callerOf(undefined, address));
      assert.equal(entered.session, undefined);
      return headerOf(entered.setCookies);
    },
    async events(name) {
      const rows = await db.query<{ details: Record<string, unknown> }>(
        'SELECT details FROM audit_events WHERE name = $1 ORDER BY recorded_at',
        [name],
      );
      return rows.map(({ details }) => details);
    },
    async stop() {
      await db.stop();
      await cluster.stop();
    },
  };
}
