/** Roles and states of users: what is taken away is gone with the next request, at every worker, and at one tenant only. */
import type { Person, Side } from '../side.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeRoles(world: World): Promise<void> {
  await probeLadder(world);
  await probeRoleChange(world);
  await probeDisabled(world);
  await probeSignOut(world);
}

/** Asks through every worker; each answer must have this status. */
async function expectEverywhere(
  { report }: World,
  side: Side,
  what: string,
  as: Person,
  status: number,
  path = '/api/me',
): Promise<void> {
  await side.throughEveryDoor(async (door) => {
    const answer = await side.send('GET', path, { as, door });
    report.check(what, answer.status === status, describe(answer));
  });
}

async function makePerson(side: Side, role: 'admin' | 'member'): Promise<Person> {
  const email = side.mark(`${side.newMarker('r').toLowerCase()}@example.com`);
  const { url } = (await side.must('POST', '/-/api/invitations', { body: { email, role } })).json;
  return side.accept({ role, email, token: new URL(url).pathname.split('/').at(-1)! });
}

/** Nobody gets above himself. */
async function probeLadder({ report, b }: World): Promise<void> {
  const { owner, admin, member } = b.people;
  const user = (id: string) => `/-/api/users/${id}`;
  const refused: readonly (readonly [
    what: string,
    as: Person,
    method: string,
    path: string,
    body: unknown,
    status: number,
  ])[] = [
    ['a member makes himself owner', member, 'PATCH', user(member.userId), { role: 'owner' }, 403],
    ['a member disables another', member, 'PATCH', user(admin.userId), { state: 'disabled' }, 403],
    ['a member invites', member, 'POST', '/-/api/invitations', { email: 'm@example.com', role: 'member' }, 403],
    ['a member reads the security log', member, 'GET', '/-/api/security-log', undefined, 403],
    ['a member lists invitations', member, 'GET', '/-/api/invitations', undefined, 403],
    ['an admin makes himself owner', admin, 'PATCH', user(admin.userId), { role: 'owner' }, 403],
    ['an admin makes another owner', admin, 'PATCH', user(member.userId), { role: 'owner' }, 403],
    ['an admin disables an owner', admin, 'PATCH', user(owner.userId), { state: 'disabled' }, 403],
    ['an admin invites an owner', admin, 'POST', '/-/api/invitations', { email: 'o@example.com', role: 'owner' }, 403],
    ['the last owner gives up', owner, 'PATCH', user(owner.userId), { role: 'member' }, 409],
  ];
  for (const [what, as, method, path, body, status] of refused) {
    const answer = await b.send(method, path, { as, body });
    report.check(what, answer.status === status, describe(answer));
  }
  const { sessionId } = (await b.must('GET', '/-/api/session', { as: owner })).json.session;
  for (const as of [member, admin]) {
    const answer = await b.send('DELETE', `/-/api/sessions/${sessionId}`, { as });
    report.check("another user's session cannot be ended", answer.status === 404, describe(answer));
    const { sessions } = (await b.must('GET', '/-/api/sessions', { as })).json;
    const isForeign = (session: { sessionId: string }) => session.sessionId === sessionId;
    report.check("another user's sessions are not listed", !sessions.some(isForeign));
  }
  const still = await b.send('GET', '/-/api/session', { as: owner });
  report.check("the owner's session goes on", still.status === 200, describe(still));
}

async function probeRoleChange(world: World): Promise<void> {
  const { report, a, b } = world;
  const { admin } = b.people;
  // Everything that could be remembered of the session is remembered now.
  for (const side of [a, b])
    await expectEverywhere(world, side, 'an admin before', side.people.admin, 200, '/-/api/invitations');
  const changed = await b.send('PATCH', `/-/api/users/${admin.userId}`, {
    as: b.people.owner,
    body: { role: 'member' },
  });
  report.check('the owner takes the role away', changed.status === 200, describe(changed));
  await expectEverywhere(world, b, 'the next request has no rights of the old role', admin, 401, '/-/api/invitations');
  await expectEverywhere(world, b, 'nor any other', admin, 401);
  const asMember = await b.signIn(admin);
  await expectEverywhere(world, b, 'signed in anew, a member', asMember, 403, '/-/api/security-log');
  await expectEverywhere(world, b, 'signed in anew, a member of the app', asMember, 403, '/api/imports');
  await expectEverywhere(
    world,
    a,
    'the same user at the other tenant is admin',
    a.people.admin,
    200,
    '/-/api/invitations',
  );
  await b.must('PATCH', `/-/api/users/${admin.userId}`, { body: { role: 'admin' } });
  b.people.admin = await b.signIn(admin);
}

async function probeDisabled(world: World): Promise<void> {
  const { report, a, b } = world;
  const { member } = b.people;
  await expectEverywhere(world, b, 'a member before', member, 200);
  await b.must('PATCH', `/-/api/users/${member.userId}`, { body: { state: 'disabled' } });
  await expectEverywhere(world, b, 'a disabled user', member, 401);
  const { email, password } = member;
  const signIn = await b.send('POST', '/-/api/session', { body: { email, password } });
  report.check('a disabled user cannot sign in', signIn.status === 401, describe(signIn));
  await expectEverywhere(world, a, 'the same user at the other tenant goes on', a.people.member, 200);
  await b.must('PATCH', `/-/api/users/${member.userId}`, { body: { state: 'active' } });
  await expectEverywhere(world, b, 'enabled again, but signed out', member, 401);
  b.people.member = await b.signIn(member);
}

async function probeSignOut(world: World): Promise<void> {
  const { report, a, b } = world;
  const first = await b.signIn(b.people.member);
  await expectEverywhere(world, b, 'a session before', first, 200);
  const out = await b.send('DELETE', '/-/api/session', { as: first, door: 0 });
  report.check('signing out', out.status === 204, describe(out));
  await expectEverywhere(world, b, 'a session after signing out', first, 401);

  const person = await makePerson(b, 'member');
  const elsewhere = await b.signIn(person);
  for (const as of [person, elsewhere]) await expectEverywhere(world, b, 'two sessions', as, 200);
  await b.must('DELETE', '/-/api/sessions', { as: person });
  for (const as of [person, elsewhere]) await expectEverywhere(world, b, 'after signing out everywhere', as, 401);
  await expectEverywhere(world, b, 'other users go on', b.people.owner, 200);
  await expectEverywhere(world, a, 'and the other tenant', a.people.member, 200);
}
