/**
 * Every route and method of the product, at one tenant's door, with whatever somebody of the other tenant could bring: cookies of each
 * role, the other's certificate name or Host, ids and tokens of the other's objects. Then the same routes by their own people, with the
 * ids that both tenants have: what the other one owns must stay as it is.
 */
import { randomBytes, randomName } from '#src/kernel/index.ts';
import { changedTables, digestOf, waitUntilQuiet } from '../digest.ts';
import { type Recipe, recipes } from '../recipes.ts';
import { cookiesOf, type Objects, roles, type SendOptions, type Side } from '../side.ts';
import type { WireAnswer } from '../wire.ts';
import { otherOf, type World } from '../world.ts';

interface Operation {
  readonly id: string;
  readonly method: string;
  /** With `{name}` for each parameter. */
  readonly path: string;
  readonly recipe: Recipe;
}

export async function probeRoutes(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const operations = await readOperations(world);
  for (const { tenantId } of [a, b]) await waitUntilQuiet(internals, tenantId);
  const before = new Map([a, b].map((side) => [side, digestOf(internals, side.tenantId)]));
  await Promise.all(before.values());
  for (const side of [b, a]) for (const operation of operations) await attack(world, operation, side);
  await probeOtherMethods(world, operations);
  for (const side of [a, b]) {
    const changed = changedTables((await before.get(side))!, await digestOf(internals, side.tenantId));
    report.check(`nothing of ${side.label} was changed by strangers`, changed.length === 0, changed.join(', '));
  }
  for (const side of [b, a]) await callAll(world, operations, side);
}

/** Routes as the product itself tells them, and how to call each. */
async function readOperations({ report, product, b }: World): Promise<Operation[]> {
  const operations: Operation[] = [];
  for (const document of ['/-/api/openapi.json', '/api/openapi.json']) {
    const { json } = await b.must('GET', document, { as: undefined });
    for (const [path, methods] of Object.entries<Record<string, { operationId?: string }>>(json.paths)) {
      for (const [method, { operationId = `${method} ${path}` }] of Object.entries(methods)) {
        // Opened by tokens of directories and by nothing else: the group `scim` calls them.
        if (operationId.startsWith('scim.')) continue;
        const recipe = recipes[operationId];
        report.check('the suite knows every route', recipe !== undefined, operationId);
        if (recipe) operations.push({ id: operationId, method: method.toUpperCase(), path, recipe });
      }
    }
  }
  const known = new Set(operations.map(({ id }) => id));
  for (const [id, { needsBackups }] of Object.entries(recipes))
    if (!needsBackups || product.ownsServer) report.check('every recipe has its route', known.has(id), id);
  return operations;
}

function requestOf(operation: Operation, objects: Objects, side: Side): { path: string; options: SendOptions } {
  const { params = {}, query = '', body, upload } = operation.recipe.call(objects, side);
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? 'none'));
  return { path: path + query, options: { body, upload } };
}

async function attack(world: World, operation: Operation, victim: Side): Promise<void> {
  const { report, inspector } = world;
  const stranger = otherOf(world, victim);
  const { id, method, recipe } = operation;
  const isOpen = recipe.for === 'anyone';
  const { path, options } = requestOf(operation, victim.shared, victim);
  const tryAs = async (kind: string, statuses: readonly number[], more: SendOptions) => {
    const answer = await victim.send(method, path, { ...options, ...more });
    report.check(`${id}: ${kind}`, statuses.includes(answer.status), `at ${victim.label}: ${describe(answer)}`);
  };
  const cookie = (text: string) => ({ headers: { cookie: text } });

  if (!isOpen) {
    for (const role of roles)
      await tryAs(`cookies of the other tenant's ${role}`, [401], { as: stranger.people[role] });
    await tryAs('no cookie', [401], {});
    // Tokens open the app's API; what is about accounts does not even look at them.
    const withToken = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const isOfApp = !path.startsWith('/-/');
    for (const [kind, token] of Object.entries(stranger.apiTokens))
      if (token !== '' && (kind !== 'shared' || victim.apiTokens.shared === ''))
        await tryAs(`the other tenant's API token (${kind})`, [isOfApp ? 401 : 403], withToken(token));
    if (!isOfApp) await tryAs('an API token of its own owner', [403], withToken(victim.apiTokens.write));
    const both = `${cookiesOf(victim.people.owner)}; ${cookiesOf(stranger.people.owner)}`;
    await tryAs('cookies of both tenants', [400], cookie(both));
    await tryAs('the device cookie as session', [401], cookie(`__Host-freehold=${victim.people.owner.device}`));
    const forwarded = { 'x-forwarded-host': victim.authority, 'x-original-host': victim.authority };
    await tryAs('forwarded host', [401], {
      headers: { ...forwarded, cookie: cookiesOf(stranger.people.owner), forwarded: `host=${victim.authority}` },
    });
    if (recipe.for !== 'member') await tryAs('a member', [403], { as: victim.people.member });
    if (recipe.for === 'owner') await tryAs('an admin', [403], { as: victim.people.admin });
  }
  for (const as of [victim.people.owner, stranger.people.owner]) {
    await tryAs("the other's certificate name", [421], { as, serverName: stranger.host });
    const request = victim.requestOf(method, path, { ...options, as, host: stranger.authority });
    const answer = await world.wire.send(request);
    inspector.inspect(undefined, request, answer);
    report.check(`${id}: the other's Host on a connection to this one`, answer.status === 421, describe(answer));
  }
  if (recipe.names) await tryForeignIds(world, operation, victim, recipe.names);
}

/** An id that only the other tenant has must look exactly like one that nobody has. */
async function tryForeignIds(
  { report, ...world }: World,
  operation: Operation,
  victim: Side,
  names: readonly (keyof Objects)[],
): Promise<void> {
  const stranger = otherOf(world, victim);
  for (const name of names) {
    // The stranger's own user has the same id here.
    if (name === 'user') continue;
    const ask = async (value: string) => {
      const { path, options } = requestOf(operation, { ...victim.shared, [name]: value }, victim);
      return victim.send(operation.method, path, { ...options, as: victim.people.owner });
    };
    const foreign = await ask(String(stranger.own[name]));
    const unknown = await ask(inventId(String(stranger.own[name])));
    const detail = () => `at ${victim.label}: ${describe(foreign)}; unknown: ${describe(unknown)}`;
    report.check(`${operation.id}: id of the other tenant`, foreign.status === 404, detail);
    report.check(`${operation.id}: looks like an unknown id`, withoutId(foreign) === withoutId(unknown), detail);
  }
}

function inventId(like: string): string {
  const prefix = /^[a-z]{2,8}_/.exec(like)?.[0];
  return prefix ? prefix + randomName(26) : randomBytes(32).toString('base64url');
}

function withoutId(answer: WireAnswer): string {
  const { requestId: _, ...problem } = answer.json ?? {};
  return `${answer.status} ${answer.headers['content-type']} ${JSON.stringify(problem)}`;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Methods that a path does not have, and pages: nothing opens by another name. */
async function probeOtherMethods(world: World, operations: readonly Operation[]): Promise<void> {
  const { report, b } = world;
  const as = otherOf(world, b).people.owner;
  const byPath = Map.groupBy(operations, ({ path }) => path.replace(/\{\w+\}/g, '{}'));
  for (const [path, ofPath] of byPath) {
    const has = new Set(ofPath.map(({ method }) => method));
    for (const method of methods.filter((one) => !has.has(one))) {
      const answer = await b.send(method, requestOf(ofPath[0]!, b.shared, b).path, { as });
      // HEAD of an open route is the route itself, without its body.
      const isOpenHead = method === 'HEAD' && ofPath.some(({ recipe }) => recipe.for === 'anyone');
      const isRefused = [401, 404, 405].includes(answer.status) || (isOpenHead && answer.body.length === 0);
      report.check(`${method} ${path}`, isRefused, describe(answer));
    }
  }
  for (const path of ['/', '/projects/LEDG', '/items/LEDG-1', '/settings?tenant=other']) {
    const answer = await b.send('GET', path, { as, headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
    const isSentToSignIn = answer.status === 303 && String(answer.headers.location).startsWith('/-/sign-in');
    report.check(`page ${path} with the other tenant's cookies`, isSentToSignIn, describe(answer));
  }
}

/** Their own people call every route, with the ids that the other tenant has as well. */
async function callAll(world: World, operations: readonly Operation[], side: Side): Promise<void> {
  const { report, internals } = world;
  const other = otherOf(world, side);
  await waitUntilQuiet(internals, other.tenantId);
  const before = await digestOf(internals, other.tenantId);
  for (const { recipe, ...operation } of operations) {
    if (recipe.isStream) continue;
    const fresh = (await recipe.fresh?.(side)) ?? {};
    const { path, options } = requestOf({ ...operation, recipe }, { ...side.shared, ...fresh.objects }, side);
    const as = recipe.for === 'anyone' ? undefined : (fresh.as ?? side.people.owner);
    const answer = await side.send(operation.method, path, { ...options, as });
    report.check(
      `${operation.id}: its own people may`,
      answer.status === (recipe.status ?? 200),
      `at ${side.label}: ${describe(answer)}`,
    );
  }
  const changed = changedTables(before, await digestOf(internals, other.tenantId));
  report.check(`work in ${side.label} changes nothing in ${other.label}`, changed.length === 0, changed.join(', '));
  await probeOwnWords(world, side);
}

/** The shared objects speak this tenant's words, through every worker. */
async function probeOwnWords({ report }: World, side: Side): Promise<void> {
  const { item, project } = side.shared;
  const paths = [
    `/api/items/${item}`,
    '/api/items?limit=100',
    `/api/projects/${project}/board`,
    '/api/users',
    '/api/me',
  ];
  await side.throughEveryDoor(async (door) => {
    for (const path of [...paths, '/-/api/users', '/-/api/profile', '/api/exports/items.csv']) {
      const answer = await side.send('GET', path, { as: side.people.owner, door });
      const speaks = [...side.markers].some((marker) => answer.text.includes(marker));
      report.check(`${path} has this tenant's words`, answer.status === 200 && speaks, describe(answer));
    }
  });
}

export function describe(answer: WireAnswer): string {
  return `${answer.status} ${answer.body.toString().slice(0, 200)}`;
}
