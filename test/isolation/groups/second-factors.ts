/** Second factors: what the same person, with the same id and password, shows at one tenant is worth nothing at the other; and no tenant's policy is another's. */
import { Authenticator } from '../../acceptance/authenticator.ts';
import { readCookies, type Side } from '../side.ts';
import type { WireAnswer } from '../wire.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

interface Enrolled {
  readonly app: Authenticator;
  readonly recoveryCodes: string[];
}

const challengeCookie = '__Host-freehold-challenge';
const secondStep = '/-/api/session/second-factor';

export async function probeSecondFactors(world: World): Promise<void> {
  const { a, b } = world;
  const [atA, atB] = [await enrol(a), await enrol(b)];
  await probeCodes(world, atA, atB);
  await probePolicy(world);
  for (const [side, { recoveryCodes }] of [
    [a, atA],
    [b, atB],
  ] as const) {
    const { admin } = side.people;
    const body = { password: admin.password, code: recoveryCodes.pop() };
    await side.must('POST', '/-/api/second-factor/remove', { as: admin, body });
  }
}

/** The admin of the tenant sets up an app. */
async function enrol(side: Side): Promise<Enrolled> {
  const as = side.people.admin;
  const begun = await side.must('POST', '/-/api/second-factor/totp', { as, body: { password: as.password } });
  const app = new Authenticator(begun.json.secret);
  side.secrets.add(begun.json.secret);
  const body = { code: app.code() };
  const done = await side.must('POST', '/-/api/second-factor/totp/confirm', { as, body });
  side.people.admin = side.keepSecret({ ...as, ...readCookies(done) });
  for (const code of done.json.recoveryCodes) side.secrets.add(code);
  return { app, recoveryCodes: [...done.json.recoveryCodes] };
}

/** The password is right; @returns the cookie of the challenge */
async function begin({ report }: World, side: Side): Promise<string> {
  const { email, password } = side.people.admin;
  const answer = await side.send('POST', '/-/api/session', { body: { email, password } });
  const isAwaited = answer.status === 202 && readCookies(answer).session === '';
  report.check('who has a second factor has no session after the password', isAwaited, describe(answer));
  const line = [answer.headers['set-cookie'] ?? []].flat().find((each) => each.startsWith(`${challengeCookie}=`)) ?? '';
  const cookie = line.split(';', 1)[0]!;
  side.secrets.add(cookie.slice(cookie.indexOf('=') + 1));
  return cookie;
}

async function probeCodes(world: World, atA: Enrolled, atB: Enrolled): Promise<void> {
  const { report, a, b } = world;
  const show = (side: Side, cookie: string, code: string, door = 0): Promise<WireAnswer> =>
    side.send('POST', secondStep, { headers: { cookie }, body: { code }, door });
  const expect = (what: string, answer: WireAnswer, status: number): void => {
    report.check(what, answer.status === status, describe(answer));
  };
  const [inA, inB] = [await begin(world, a), await begin(world, b)];
  // Not through every door: five wrong codes end a challenge, and more than that are not looked at.
  const doors = [...a.doors.keys()].slice(0, 2);
  // So a worker has had the secret of the one in its hands.
  for (const door of doors) expect('a wrong code', await show(a, inA, atA.app.wrongCode(), door), 403);
  const code = atA.app.code();
  for (const door of doors) {
    expect("a code of the other tenant's user with the same id", await show(b, inB, code, door), 403);
    expect('a challenge of the other tenant', await show(b, inA, code, door), 401);
  }
  expect("a recovery code of the other tenant's user", await show(b, inB, atA.recoveryCodes[0]!), 403);
  expect('a code at home', await show(a, inA, code), 201);
  expect('a code at home, the other', await show(b, inB, atB.app.code()), 201);
  expect('a code that was used', await show(a, await begin(world, a), code), 403);
  expect('a challenge that was used', await show(a, inA, atA.recoveryCodes[0]!), 401);
}

/** Asked of everyone at one tenant: said at the very next request by every worker, also to whom it presumes; nobody at the other is asked. */
async function probePolicy({ report, internals, a, b }: World): Promise<void> {
  const look = async (side: Side, what: string, status: number) =>
    side.throughEveryDoor(async (door) => {
      for (const [path, expected] of [
        ['/api/me', status],
        ['/api/items?limit=1', status],
        ['/-/api/users', status],
        ['/-/api/session', 200],
      ] as const) {
        const answer = await side.send('GET', path, { as: side.people.member, door });
        report.check(`${what}: ${path}`, answer.status === expected, () => `at ${side.label}: ${describe(answer)}`);
      }
    });
  await look(a, 'before anybody is asked', 200);
  await internals.write(
    a.tenantId,
    'platform',
    `INSERT INTO freehold.second_factor_policy (required_of) VALUES ('everyone')`,
  );
  await look(a, 'who must have a second factor and has none', 403);
  await look(b, "the other tenant's policy", 200);
  await internals.write(a.tenantId, 'platform', 'DELETE FROM freehold.second_factor_policy');
  await look(a, 'when nobody is asked any more', 200);
}
