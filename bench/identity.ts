/**
 * Sign-ins per second and core, and what the check of a session costs. In the same run, in turn: a bare verification of the same hash (what OWASP's floor for argon2id costs by itself: 19 MiB,
 * two passes, one lane), the whole sign-in (limits, hash, session, audit, on a real PostgreSQL beside it), and the check of a session, with what the server wrote meanwhile.
 * Goals: 60 sign-ins per second and core; 25 µs of this process's CPU per check and nothing written. Peers of the field, published: Keycloak's sizing guide, 15 password sign-ins
 * per second and vCPU; Zitadel 4.17, 49 a second on 50 vCPU.
 *
 *   node bench/identity.ts [--rounds 5] [--seconds 3] [--checks 20000]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { hashPassword, verifyPassword } from '../src/identity/passwords/password-hash.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
} from '../src/identity/two-tenants.fixture.ts';
import { median, type Row, report, round } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    checks: { type: 'string', default: '20000' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const checks = Number(values.checks);
const cores = availableParallelism();
const people = cores * 4;

const two = await startTwoTenants();
try {
  const { identity, a } = two;
  const emails = Array.from({ length: people }, (_, index) => `person${index}@bench.example`);
  for (const email of emails) await createTwins(two, email);
  const hash = await hashPassword(goodPassword);
  // A person each, before a browser that is known: nobody is slowed down for what others do.
  const browsers: string[] = [];
  const signIn = (lane: number) =>
    started(
      identity.signIn(
        a.tenantId,
        { email: emails[lane]!, password: goodPassword },
        { address: `10.0.${lane}.1`, cookieHeader: browsers[lane] },
      ),
    );
  for (let lane = 0; lane < people; lane++) browsers.push(cookieHeaderOf((await signIn(lane)).setCookies));
  const { setCookies } = await signIn(0);
  const cookieHeader = cookieHeaderOf(setCookies);

  const perSecond = { bare: [] as number[], signIn: [] as number[] };
  const check = { cpuUs: [] as number[], writes: 0 };
  for (let at = 0; at < rounds; at++) {
    perSecond.bare.push(await rateOf(() => verifyPassword(goodPassword, hash)));
    perSecond.signIn.push(await rateOf(signIn));
    await identity.settle();
    await identity.authenticate(a.tenantId, cookieHeader);
    const before = await written();
    const cpu = process.cpuUsage();
    for (let done = 0; done < checks; done += 8)
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          if (!(await identity.authenticate(a.tenantId, cookieHeader))) throw new Error('not signed in');
        }),
      );
    const { user, system } = process.cpuUsage(cpu);
    check.cpuUs.push((user + system) / checks);
    await identity.settle();
    if ((await written()) !== before) check.writes++;
  }
  const rows: Row[] = [
    { what: 'argon2id alone, per second and core', median: round(median(perSecond.bare) / cores, 1), goal: '' },
    { what: 'sign-ins per second and core', median: round(median(perSecond.signIn) / cores, 1), goal: '≥ 60' },
    { what: 'check of a session, µs of CPU', median: round(median(check.cpuUs), 1), goal: '≤ 25' },
    { what: 'rounds of checks that wrote something', median: check.writes, goal: '0' },
  ];
  report('identity', rows, { cores, rounds, seconds, checks, perSecond, check });
} finally {
  await two.stop();
}

async function rateOf(act: (lane: number) => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1_000;
  let done = 0;
  await Promise.all(
    Array.from({ length: people }, async (_, lane) => {
      while (performance.now() < endMs) {
        await act(lane);
        done++;
      }
    }),
  );
  return (done * 1_000) / (performance.now() - startedMs);
}

/** What the check of a session could write: the versions of all sessions, and the end of the security log. */
async function written(): Promise<string> {
  const [row] = await two.databases.platform.transact(two.a.tenantId, (db) =>
    db.query<{ versions: string }>(
      `SELECT (SELECT string_agg(s.ctid::text || s.xmin::text, ' ' ORDER BY s.session_id) FROM freehold.sessions s) || ' ' ||
         (SELECT max(position) FROM freehold.audit_events) AS versions`,
    ),
  );
  return row!.versions;
}
