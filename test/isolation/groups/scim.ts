/** Provisioning: a directory's token is good at one tenant, at SCIM alone, until it is over; what it takes away is gone for the very next request. */
import { randomName } from '#src/kernel/index.ts';
import { changedTables, digestOf } from '../digest.ts';
import { type ScimRecipe, scimRecipes } from '../scim-recipes.ts';
import { cookiesOf, type Objects, type SendOptions, type Side } from '../side.ts';
import { otherOf, type World } from '../world.ts';
import { describe } from './routes.ts';

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly recipe: ScimRecipe;
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

export async function probeScim(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const operations = await readOperations(world);
  const before = new Map<Side, Map<string, string>>();
  for (const side of [a, b]) before.set(side, await digestOf(internals, side.tenantId));
  for (const side of [b, a]) for (const operation of operations) await attack(world, operation, side);
  for (const side of [a, b]) {
    const changed = changedTables(before.get(side)!, await digestOf(internals, side.tenantId));
    report.check(`no stranger provisions ${side.label}`, changed.length === 0, changed.join(', '));
  }
  for (const side of [b, a]) await callAll(world, operations, side);
  await probeEnds(world);
  await probeDisabling(world);
  await probeOwners(world);
}

async function readOperations({ report, b }: World): Promise<Operation[]> {
  const { json } = await b.must('GET', '/-/api/openapi.json', { as: undefined });
  const found = new Map<string, Operation>();
  for (const [path, methods] of Object.entries<Record<string, { operationId?: string }>>(json.paths)) {
    if (!path.startsWith('/-/scim/')) continue;
    for (const [method, { operationId: id = path }] of Object.entries(methods)) {
      const recipe = scimRecipes[id];
      report.check('the suite knows every route of SCIM', recipe !== undefined, id);
      if (recipe) found.set(id, { id, method: method.toUpperCase(), path, recipe });
    }
  }
  for (const id of Object.keys(scimRecipes)) report.check('every recipe of SCIM has its route', found.has(id), id);
  // In the order of the recipes: what deletes comes last.
  return Object.keys(scimRecipes).flatMap((id) => found.get(id) ?? []);
}

function requestOf({ path, recipe }: Operation, objects: Objects, side: Side): { path: string; options: SendOptions } {
  const { id = '', query = '', body } = recipe.call(objects, side);
  return { path: path.replace('{id}', encodeURIComponent(id)) + query, options: { body } };
}

async function attack(world: World, operation: Operation, victim: Side): Promise<void> {
  const { report } = world;
  const stranger = otherOf(world, victim);
  const { id, method } = operation;
  const { path, options } = requestOf(operation, victim.shared, victim);
  const expect = async (what: string, status: number, more: SendOptions) => {
    const answer = await victim.send(method, path, { ...options, ...more });
    report.check(`${id}: ${what}`, answer.status === status, () => `at ${victim.label}: ${describe(answer)}`);
  };
  await expect('no token', 401, {});
  await expect("a token of the other tenant's directory", 401, bearer(stranger.scim.token));
  if (victim === world.b) await expect('a token from before the clone', 401, bearer(world.a.scim.shared));
  await expect('an API token of its own owner', 401, bearer(victim.apiTokens.write));
  for (const side of [victim, stranger])
    await expect(`the session of an owner of ${side.label}`, 401, { as: side.people.owner });
  const both = { authorization: `Bearer ${victim.scim.token}`, cookie: cookiesOf(victim.people.owner) };
  await expect('a token and a cookie', 400, { headers: both });
  await expect("the other's certificate name", 421, { ...bearer(victim.scim.token), serverName: stranger.host });
  if (operation.recipe.names) await tryForeignId(world, operation, victim, operation.recipe.names);
}

async function tryForeignId(
  { report, ...world }: World,
  operation: Operation,
  victim: Side,
  name: 'scimUser' | 'scimGroup',
): Promise<void> {
  const ask = async (value: string) => {
    const { path, options } = requestOf(operation, { ...victim.shared, [name]: value }, victim);
    const answer = await victim.send(operation.method, path, { ...options, ...bearer(victim.scim.token) });
    return { answer, seen: `${answer.status} ${JSON.stringify({ ...answer.json, requestId: '' })}` };
  };
  const foreign = await ask(otherOf(world, victim).own[name]);
  const unknown = await ask(`${name === 'scimUser' ? 'usr' : 'grp'}_${randomName(26)}`);
  report.check(`${operation.id}: id of the other tenant`, foreign.answer.status === 404, describe(foreign.answer));
  report.check(`${operation.id}: looks like an unknown id`, foreign.seen === unknown.seen, describe(foreign.answer));
}

/** Its own directory calls every route, with the ids that both tenants have. */
async function callAll(world: World, operations: readonly Operation[], side: Side): Promise<void> {
  const { report, internals } = world;
  const other = otherOf(world, side);
  const before = await digestOf(internals, other.tenantId);
  for (const operation of operations) {
    const { path, options } = requestOf(operation, side.shared, side);
    const answer = await side.send(operation.method, path, { ...options, ...bearer(side.scim.token) });
    const { status = 200 } = operation.recipe;
    report.check(`${operation.id}: its own directory may`, answer.status === status, describe(answer));
  }
  const changed = changedTables(before, await digestOf(internals, other.tenantId));
  report.check(
    `provisioning ${side.label} changes nothing in ${other.label}`,
    changed.length === 0,
    changed.join(', '),
  );
}

/** Whatever ends a token ends it for the very next request, at every worker. */
async function probeEnds({ report, internals, b }: World): Promise<void> {
  const ends: Readonly<Record<string, (tokenId: string) => Promise<unknown>>> = {
    'was revoked': (id) => b.must('DELETE', `/-/api/scim/tokens/${id}`),
    'has expired': (id) =>
      internals.write(
        b.tenantId,
        'platform',
        `UPDATE freehold.scim_tokens SET created_at = now() - interval '1 day', expires_at = now() - interval '1 s' WHERE token_id = $1`,
        [id],
      ),
  };
  for (const [what, end] of Object.entries(ends)) {
    const { token, tokenId } = await b.makeScimToken();
    const expect = (when: string, status: number) =>
      b.throughEveryDoor(async (door) => {
        const answer = await b.send('GET', '/-/scim/v2/Users?count=1', { ...bearer(token), door });
        report.check(`a SCIM token ${when} it ${what}`, answer.status === status, describe(answer));
      });
    await expect('before', 200);
    await end(tokenId);
    await expect('after', 401);
  }
}

/** Sessions and API tokens of somebody whom the directory disables end for the very next request, at every worker. */
async function probeDisabling({ report, b }: World): Promise<void> {
  const email = b.mark(`${b.newMarker('leaver').toLowerCase()}@example.com`);
  const { url } = (await b.must('POST', '/-/api/invitations', { body: { email, role: 'member' } })).json;
  const person = await b.accept({ role: 'member', email, token: new URL(url).pathname.split('/').at(-1)! });
  const { token } = await b.makeApiToken(person);
  const expect = (status: number) =>
    b.throughEveryDoor(async (door) => {
      for (const how of [{ as: person }, bearer(token)]) {
        const answer = await b.send('GET', '/api/me', { ...how, door });
        report.check('who the directory disabled', answer.status === status, describe(answer));
      }
    });
  await expect(200);
  const off = await b.send('PATCH', `/-/scim/v2/Users/${person.userId}`, {
    ...bearer(b.scim.token),
    body: {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'Replace', path: 'active', value: 'False' }],
    },
  });
  report.check('the directory disables', off.status === 200, describe(off));
  await expect(401);
}

/** Whatever the directory says, the account keeps its owner. */
async function probeOwners({ report, a, b }: World): Promise<void> {
  for (const side of [a, b]) {
    const answer = await side.send('DELETE', `/-/scim/v2/Users/${side.people.owner.userId}`, bearer(side.scim.token));
    report.check('the last owner stays', answer.status === 403, describe(answer));
    const still = await side.send('GET', '/-/api/session', { as: side.people.owner });
    report.check('and goes on', still.status === 200, describe(still));
  }
}
