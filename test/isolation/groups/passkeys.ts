/** Passkeys: the same person, with the same id, password and credential id at both tenants, and each key signs for its own; once, here, for whoever may still sign in. */
import { randomBytes } from 'node:crypto';
import { SoftwareAuthenticator, type Tricks } from '../../../src/identity/passkeys/software-authenticator.fixture.ts';
import { readCookies, type Side } from '../side.ts';
import type { WireAnswer } from '../wire.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

const cookieName = '__Host-freehold-passkey';

interface Asked {
  readonly cookie: string;
  // biome-ignore lint/suspicious/noExplicitAny: options as the product writes them
  readonly options: any;
}

export async function probePasskeys(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const credentialId = randomBytes(32);
  const [atA, atB] = [await enrol(a, credentialId), await enrol(b, credentialId)];
  const expect = (what: string, answer: WireAnswer, status: number): void => {
    report.check(what, answer.status === status, describe(answer));
  };
  const show = (side: Side, { cookie, options }: Asked, key: SoftwareAuthenticator, tricks?: Tricks, door?: number) =>
    side.send('POST', '/-/api/session/passkey', {
      headers: { cookie },
      body: { passkey: key.get(options, tricks) },
      ...(door !== undefined && { door }),
    });
  /** What was refused here slows down nobody later. */
  const forgetRefusals = async () => {
    for (const { tenantId } of [a, b])
      await internals.write(tenantId, 'platform', `DELETE FROM freehold.sign_in_failures WHERE scope ~ '^passkey'`);
  };
  for (const door of a.doors.keys()) {
    await forgetRefusals();
    expect('a passkey at home', await show(a, await ask(a), atA, undefined, door), 201);
    expect('a passkey at home, the other', await show(b, await ask(b), atB, undefined, door), 201);
    expect("the other tenant's key of the same credential", await show(b, await ask(b), atA, handleOf(atB), door), 401);
    expect('the origin of the other tenant', await show(b, await ask(b), atB, { origin: atA.origin }, door), 401);
    const both = { origin: atA.origin, rpId: a.host };
    expect('what was signed for the other tenant', await show(b, await ask(b), atB, both, door), 401);
    const inA = await ask(a);
    expect('a challenge of the other tenant', await show(b, inA, atB, undefined, door), 401);
    const { cookie } = await ask(a);
    expect('a challenge in another browser', await show(a, { ...inA, cookie }, atA, undefined, door), 401);
    const once = await ask(a);
    expect('a challenge, once', await show(a, once, atA, undefined, door), 201);
    expect('a challenge, twice', await show(a, once, atA, undefined, door), 401);
  }
  await forgetRefusals();
  const { userId } = a.people.admin;
  const setState = (state: string) =>
    internals.write(a.tenantId, 'platform', `UPDATE freehold.users SET state = '${state}' WHERE user_id = '${userId}'`);
  await setState('disabled');
  expect('a passkey of somebody who is disabled', await show(a, await ask(a), atA), 401);
  expect('the twin, who is not', await show(b, await ask(b), atB), 201);
  await setState('active');
  for (const [side, key] of [
    [a, atA],
    [b, atB],
  ] as const) {
    const as = side.people.admin;
    const options = (await side.must('POST', '/-/api/passkeys/confirmation', { as })).json;
    const [passkey] = (await side.must('GET', '/-/api/second-factor', { as })).json.passkeys;
    const body = { password: as.password, passkey: key.get(options) };
    await side.must('POST', `/-/api/passkeys/${passkey.passkeyId}/remove`, { as, body });
  }
  await forgetRefusals();
}

const handleOf = ({ userHandle }: SoftwareAuthenticator): Tricks => ({ userHandle });

/** The admin of the tenant makes one that does not count, so that nothing but the challenge keeps an answer from being good twice. */
async function enrol(side: Side, credentialId: Buffer): Promise<SoftwareAuthenticator> {
  const key = new SoftwareAuthenticator(`https://${side.authority}`, { credentialId });
  key.counts = false;
  const as = side.people.admin;
  const options = (await side.must('POST', '/-/api/passkeys/options', { as, body: { password: as.password } })).json;
  const done = await side.must('POST', '/-/api/passkeys', { as, body: { name: 'Key', passkey: key.create(options) } });
  side.people.admin = side.keepSecret({ ...as, ...readCookies(done) });
  for (const code of done.json.recoveryCodes) side.secrets.add(code);
  return key;
}

async function ask(side: Side): Promise<Asked> {
  const answer = await side.must('POST', '/-/api/session/passkey/options', {});
  const line = [answer.headers['set-cookie'] ?? []].flat().find((each) => each.startsWith(`${cookieName}=`)) ?? '';
  return { cookie: line.split(';', 1)[0]!, options: answer.json };
}
