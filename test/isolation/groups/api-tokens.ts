/** API tokens: good at one tenant, for what they are scoped for, until they are over; nobody's session, and no way into an account. */
import { waitFor } from '#src/kernel/index.ts';
import type { Side } from '../side.ts';
import type { Listening } from '../wire.ts';
import { otherOf, type World } from '../world.ts';
import { describe } from './routes.ts';

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

export async function probeApiTokens(world: World): Promise<void> {
  for (const side of [world.a, world.b]) {
    await probeHome(world, side);
    await probeScope(world, side);
    await probeCredentials(world, side);
  }
  await probeEnds(world);
  await probeRole(world);
  await probeStreams(world);
}

/** The status of a small read with this token, which must be the same through every worker. */
async function expectEverywhere(
  { report }: World,
  side: Side,
  what: string,
  token: string,
  status: number,
  path = '/api/me',
): Promise<void> {
  await side.throughEveryDoor(async (door) => {
    const answer = await side.send('GET', path, { ...bearer(token), door });
    report.check(what, answer.status === status, () => `at ${side.label}: ${describe(answer)}`);
    if (status !== 401) return;
    const header = answer.headers['www-authenticate'];
    report.check(`${what}: it is said how`, header === 'Bearer error="invalid_token"', String(header));
  });
}

async function probeHome(world: World, side: Side): Promise<void> {
  const other = otherOf(world, side);
  for (const [kind, token] of Object.entries(side.apiTokens)) {
    // The clone was made without the one from before.
    if (token === '') continue;
    await expectEverywhere(world, side, `a token (${kind}) at home`, token, 200);
    await expectEverywhere(world, other, `a token (${kind}) of the other tenant`, token, 401);
  }
}

async function probeScope({ report, ...world }: World, side: Side): Promise<void> {
  const { item, project } = side.shared;
  const read = bearer(side.apiTokens.read);
  const refused = [
    ['POST', '/api/items', { project, title: 'never' }],
    ['PATCH', `/api/items/${item}`, { version: 1, title: 'never' }],
    ['DELETE', `/api/items/${item}`, undefined],
  ] as const;
  for (const [method, path, body] of refused) {
    const answer = await side.send(method, path, { ...read, body });
    const isRefused = answer.status === 403 && answer.json.code === 'FH_TOKEN_SCOPE';
    report.check(`a token that reads: ${method}`, isRefused, describe(answer));
  }
  const made = await side.send('POST', '/api/items', {
    ...bearer(side.apiTokens.write),
    body: { project, title: side.newMarker('ByToken') },
  });
  report.check('a token that writes: POST', made.status === 201 || made.status === 200, describe(made));
  const foreign = await otherOf(world, side).send('GET', `/api/items/${made.json?.id}`, {
    ...bearer(otherOf(world, side).apiTokens.write),
  });
  report.check('what a token made is at home only', foreign.status === 404, describe(foreign));
}

async function probeCredentials({ report }: World, side: Side): Promise<void> {
  const { owner } = side.people;
  const { write } = side.apiTokens;
  const both = await side.send('GET', '/api/me', { as: owner, headers: { authorization: `Bearer ${write}` } });
  const cookie = { cookie: `__Host-freehold=${owner.session}`, authorization: `Bearer ${write}` };
  const one = await side.send('GET', '/api/me', { headers: cookie });
  for (const answer of [both, one])
    report.check(
      'a token and a cookie',
      answer.status === 400 && answer.json.code === 'FH_CREDENTIALS_AMBIGUOUS',
      describe(answer),
    );
  const good = await side.send('GET', '/api/me', bearer(write));
  report.check('an answer to a token sets no cookie', good.headers['set-cookie'] === undefined);
  const asQuery = await side.send('GET', `/api/me?access_token=${write}`);
  report.check('a token in the address', asQuery.status === 401, describe(asQuery));
}

/** Whatever ends a token ends it for the very next request, at every worker. */
async function probeEnds(world: World): Promise<void> {
  const { b, internals } = world;
  const { owner } = b.people;
  const set = (change: string, tokenId: string) =>
    internals.write(b.tenantId, 'platform', `UPDATE freehold.api_tokens SET ${change} WHERE token_id = $1`, [tokenId]);
  const ends: Readonly<Record<string, (tokenId: string) => Promise<unknown>>> = {
    'was revoked': (id) => b.must('DELETE', `/-/api/tokens/${id}`),
    'was revoked by an owner': (id) => b.must('DELETE', `/-/api/users/tokens/${id}`),
    'has expired': (id) => set(`expires_at = now() - interval '1 s'`, id),
  };
  for (const [what, end] of Object.entries(ends)) {
    const { token, tokenId } = await b.makeApiToken(owner);
    await expectEverywhere(world, b, `a token before it ${what}`, token, 200);
    await end(tokenId);
    await expectEverywhere(world, b, `a token that ${what}`, token, 401);
  }
}

/** The role is the user's at the time of the request; a disabled user's tokens are over. */
async function probeRole(world: World): Promise<void> {
  const { b } = world;
  const email = b.mark(`${b.newMarker('holder').toLowerCase()}@example.com`);
  const { url } = (await b.must('POST', '/-/api/invitations', { body: { email, role: 'member' } })).json;
  const person = await b.accept({ role: 'member', email, token: new URL(url).pathname.split('/').at(-1)! });
  const { token } = await b.makeApiToken(person);
  const change = (body: object) => b.must('PATCH', `/-/api/users/${person.userId}`, { body });
  const forAdmins = '/api/imports';
  await expectEverywhere(world, b, 'a member by token', token, 403, forAdmins);
  await change({ role: 'admin' });
  await expectEverywhere(world, b, 'an admin by token', token, 200, forAdmins);
  await change({ role: 'member' });
  await expectEverywhere(world, b, 'a member again by token', token, 403, forAdmins);
  await change({ state: 'disabled' });
  await expectEverywhere(world, b, "a disabled user's token", token, 401);
  await change({ state: 'active' });
  await expectEverywhere(world, b, 'a token of a user who was disabled and is back', token, 401);
}

/** A stream outlives the check at its beginning; a token that is over must not go on listening. */
async function probeStreams(world: World): Promise<void> {
  const { report, wire, b } = world;
  const { token, tokenId } = await b.makeApiToken(b.people.owner, 'read');
  const streams: Listening[] = [];
  for (const port of b.doors)
    streams.push(
      await wire.listen({
        port,
        serverName: b.host,
        host: b.authority,
        path: '/api/events',
        headers: { authorization: `Bearer ${token}` },
      }),
    );
  for (const { status } of streams) report.check('a token may listen', status === 200, String(status));
  await b.must('DELETE', `/-/api/tokens/${tokenId}`);
  // The check is made again at most a second after the last; every event asks for it.
  const ended = await waitFor(
    'the streams to end',
    async () => {
      await b.must('POST', '/api/items', { body: { project: b.own.project, title: b.newMarker('After') } });
      return streams.every((stream) => stream.ended);
    },
    { deadlineMs: 180_000, everyMs: 250 },
  ).catch(() => false);
  report.check('a stream ends with its token', ended === true);
  for (const stream of streams) stream.close();
}
