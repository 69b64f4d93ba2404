/** What lets somebody in — session, invitation, password, known browser — counts at one tenant only, and a clone inherits none of it. */
import { createTokenCookie, sessionKeyBytes } from '#src/identity/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { deviceCookie, type Person, type Side, sessionCookie } from '../side.ts';
import { otherOf, type World } from '../world.ts';
import { describe } from './routes.ts';

const cookies = {
  session: createTokenCookie({
    name: sessionCookie,
    maxAgeSeconds: 60,
    sameSite: 'Lax',
    contentBytes: sessionKeyBytes,
  }),
  device: createTokenCookie({ name: deviceCookie, maxAgeSeconds: 60, sameSite: 'Strict' }),
};

export async function probeTokens(world: World): Promise<void> {
  for (const side of [world.a, world.b]) await probeSealing(world, side);
  await probeResealed(world);
  await probeInvitations(world);
  await probePasswords(world);
  await probeHeldCookie(world);
  await probeHashes(world);
}

/** Each cookie opens with its tenant's key, for its tenant, and in no other way. */
async function probeSealing({ report, internals, ...world }: World, side: Side): Promise<void> {
  const other = otherOf(world, side);
  const own = createSealer((await internals.accessOf(side.tenantId)).cookieKey);
  const foreign = createSealer((await internals.accessOf(other.tenantId)).cookieKey);
  for (const kind of ['session', 'device'] as const) {
    const cookie = cookies[kind];
    const value = side.people.owner[kind];
    const opens = (sealer: typeof own, scope: string) => cookie.open(sealer, scope, value) !== undefined;
    report.check(`${kind} cookie is sealed under its tenant's key`, opens(own, side.tenantId));
    report.check(`${kind} cookie does not open with the other's key`, !opens(foreign, side.tenantId));
    report.check(`${kind} cookie does not open for the other tenant`, !opens(own, other.tenantId));
    report.check(`${kind} cookie does not open for nobody`, !opens(own, ''));
    const swapped = cookies[kind === 'session' ? 'device' : 'session'];
    report.check(`${kind} cookie is no other cookie`, swapped.open(own, side.tenantId, value) === undefined);
  }
}

/** Even somebody who could seal for the other tenant would find that it does not know the token. */
async function probeResealed({ report, internals, a, b }: World): Promise<void> {
  const sealers = new Map<Side, ReturnType<typeof createSealer>>();
  for (const side of [a, b]) sealers.set(side, createSealer((await internals.accessOf(side.tenantId)).cookieKey));
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    // The admin's session of the source is older than the clone, the owner's is younger.
    for (const role of ['owner', 'admin'] as const) {
      const token = cookies.session.open(sealers.get(from)!, from.tenantId, from.people[role].session);
      if (!token) continue;
      const session = cookies.session.set(sealers.get(to)!, to.tenantId, token).split(';')[0]!.split('=')[1]!;
      await to.throughEveryDoor(async (door) => {
        const answer = await to.send('GET', '/api/me', { as: { ...to.people.owner, session }, door });
        report.check(
          `token of ${from.label}'s ${role}, sealed for ${to.label}`,
          answer.status === 401,
          describe(answer),
        );
      });
    }
  }
}

async function probeInvitations({ report, a, b }: World): Promise<void> {
  const path = (token: string) => `/-/api/invitations/${token}`;
  const body = { password: 'nineteen amber pianos hum' };
  await b.throughEveryDoor(async (door) => {
    for (const [what, token] of [
      ['from before the clone', a.shared.invitationToken],
      ['of the other tenant', a.own.invitationToken],
    ] as const) {
      const shown = await b.send('GET', path(token), { door });
      report.check(`invitation ${what} is not shown`, shown.status === 404, describe(shown));
      const accepted = await b.send('POST', path(token), { door, body });
      report.check(`invitation ${what} lets nobody in`, accepted.status === 404, describe(accepted));
    }
  });
  const atHome = await a.send('GET', path(a.shared.invitationToken));
  report.check('the source keeps its invitation', atHome.status === 200, describe(atHome));

  const email = b.mark(`${b.newMarker('once').toLowerCase()}@example.com`);
  for (const side of [a, b]) {
    // The same address at both, one after the other through each worker: the link is the tenant's own.
    await side.throughEveryDoor(async (door) => {
      const made = await side.send('POST', '/-/api/invitations', {
        as: side.people.owner,
        door,
        body: {
          email: side === b ? email : side.mark(`${side.newMarker('once').toLowerCase()}@example.com`),
          role: 'member',
        },
      });
      const { url = '' } = made.json ?? {};
      report.check(
        'an invitation links to its own tenant',
        url.startsWith(`https://${side.authority}/`),
        describe(made),
      );
    });
  }
  const { url } = (await b.must('POST', '/-/api/invitations', { body: { email, role: 'member' } })).json;
  const token = new URL(url).pathname.split('/').at(-1)!;
  b.secrets.add(token);
  await b.must('POST', path(token), { as: undefined, body });
  await b.throughEveryDoor(async (door) => {
    const again = await b.send('POST', path(token), { door, body });
    report.check('an invitation works once', again.status === 404, describe(again));
  });
}

/** The same person has the same password at both, until it is changed at one. */
async function probePasswords({ report, a, b }: World): Promise<void> {
  const { member } = a.people;
  const newPassword = 'forty silver tractors yawn';
  const body = { currentPassword: member.password, newPassword };
  await a.must('PUT', '/-/api/password', { as: member, body });
  const tryIn = async (side: Side, password: string, expected: number) => {
    const answer = await side.send('POST', '/-/api/session', { body: { email: member.email, password } });
    report.check(`password at ${side.label}: ${expected}`, answer.status === expected, describe(answer));
    return answer;
  };
  const wrong = await tryIn(b, newPassword, 401);
  await tryIn(a, member.password, 401);
  await tryIn(b, member.password, 201);
  await tryIn(a, newPassword, 201);
  const unknown = await b.send('POST', '/-/api/session', {
    body: { email: a.mark('nobody@example.org'), password: newPassword },
  });
  const same = (answer: typeof wrong) => JSON.stringify({ ...answer.json, requestId: '' });
  report.check('an unknown user looks like a wrong password', same(wrong) === same(unknown), describe(unknown));
  a.markers.delete('nobody@example.org');
  const ended = await a.send('GET', '/-/api/session', { as: member });
  report.check('another password ends the sessions there', ended.status === 401, describe(ended));
  const kept = await b.send('GET', '/-/api/session', { as: b.people.member });
  report.check('and none at the other tenant', kept.status === 200, describe(kept));
  a.people.member = await a.signIn({ ...member, password: newPassword } satisfies Person);
}

/** Signing in at one tenant with the other's cookie in the browser ends nothing there. */
async function probeHeldCookie({ report, a, b }: World): Promise<void> {
  const { session, device } = a.people.owner;
  await b.must('POST', '/-/api/session', {
    as: { ...b.people.owner, session, device },
    body: { email: b.people.owner.email, password: b.people.owner.password },
  });
  const still = await a.send('GET', '/-/api/session', { as: a.people.owner });
  report.check("a sign-in elsewhere does not end the other's session", still.status === 200, describe(still));
}

/** No secret of the one is known in the other's database. */
async function probeHashes({ report, internals, a, b }: World): Promise<void> {
  for (const table of ['sessions', 'invitations', 'known_devices', 'api_tokens', 'scim_tokens']) {
    const hashes = await Promise.all(
      [a, b].map(async ({ tenantId }) => {
        const connection = await internals.connect(tenantId, 'platform');
        const rows = await connection.query<{ hash: string }>(
          `SELECT encode(token_hash, 'hex') AS hash FROM freehold.${table}`,
        );
        await connection.close();
        return rows.map(({ hash }) => hash);
      }),
    );
    const common = hashes[0]!.filter((hash) => hashes[1]!.includes(hash));
    report.check(
      `no common secret in ${table}`,
      hashes[0]!.length > 0 && common.length === 0,
      `${common.length} common`,
    );
  }
}
