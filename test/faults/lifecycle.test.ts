/**
 * Kills control at every failpoint that a lifecycle operation crosses, in the running product, and lets the supervisor bring it back.
 * Several operations at a time are led to one failpoint each, where they hang; then one SIGKILL takes them all.
 * src/tenants/kill.test.ts does the same to the lifecycle alone; here gateways, sockets, tools and other tenants are real.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { foldersOf } from '#src/main/folders.ts';
import { until } from '../acceptance/harness.ts';
import { assertNothingLeft, findLeftovers } from './support/leftovers.ts';
import { type Case, checkEnd, type Kind, kinds, newName, openScene, type Scene } from './support/lifecycle.ts';
import { type Reader, startReader } from './support/load.ts';
import { createTenant, ended, type OperationView } from './support/operator.ts';
import { arm, armable, failpointsOf, killControl, type Product, startProduct } from './support/product.ts';
import { startChance } from './support/random.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
/** Operations that the lifecycle runs at the same time. */
const atOnce = 4;
const chance = startChance();

let product: Product;
let scene: Scene;
let bystander: Reader;
before(async () => {
  // No prepared databases: `create` then crosses the making of one. The pool's own failpoints are in killed.test.ts.
  product = await startProduct({ ...armable, FREEHOLD_PREPARED_DATABASES: '0', FREEHOLD_WORKERS: '1' });
  const neighbour = await createTenant(product, newName());
  scene = await openScene(product, atOnce);
  bystander = startReader(neighbour);
});
after(async () => {
  await bystander?.stop();
  await product?.stop();
});

interface Target {
  readonly kind: Kind;
  readonly failpoint: string;
}

/** What control does by itself meanwhile; nothing of it belongs to an operation. */
const background = /^(backups\.(base|dump|files|verification)|retention|shipping|pool)\./;

/** What is written to a region. In the background that happens at any time, whatever operation is under way: files of tenants are brought there. */
const inRegion = /^(region|objects)\./;

/** Failpoints that each kind crosses from its beginning to its end. */
async function learn(): Promise<Map<Kind, string[]>> {
  const crossed = new Map<Kind, string[]>();
  const makeKeys: Kind[] = [];
  for (const kind of kinds) {
    const one = await scene.newCase(kind);
    await arm(product, 'none=error');
    const operation = await ended(product, await one.start());
    const { passed } = await failpointsOf(product);
    crossed.set(
      kind,
      passed.filter((name) => !background.test(name)),
    );
    if (kind !== 'delete' && operation.steps.some(({ name }) => name === 'key')) makeKeys.push(kind);
    await checkEnd(one, operation, 'succeeded');
  }
  // A new key is written to the regions, by each of these in the same way. A deletion brings the tenant's last files there, unless the
  // background has been quicker: it may cross these, or not. All else that went to a region meanwhile was the background.
  const ofKeys = crossed
    .get(makeKeys[0]!)!
    .filter((name) => inRegion.test(name) && makeKeys.every((kind) => crossed.get(kind)!.includes(name)));
  const seen = [...crossed.values()].flat().filter((name) => inRegion.test(name));
  for (const [kind, names] of crossed) {
    const own = names.filter((name) => !inRegion.test(name));
    const others = kind === 'delete' ? new Set(seen) : makeKeys.includes(kind) ? ofKeys : [];
    crossed.set(kind, [...own, ...others]);
  }
  return crossed;
}

/** At most `atOnce` per round, and no failpoint that an operation of another kind could take away. */
function planRounds(targets: readonly Target[], crossed: ReadonlyMap<Kind, readonly string[]>): Target[][] {
  const disturbs = (a: Target, b: Target): boolean =>
    a.failpoint === b.failpoint || (a.kind !== b.kind && crossed.get(b.kind)!.includes(a.failpoint));
  const rounds: Target[][] = [];
  for (const target of targets) {
    const round = rounds.find(
      (one) => one.length < atOnce && !one.some((other) => disturbs(target, other) || disturbs(other, target)),
    );
    if (round) round.push(target);
    else rounds.push([target]);
  }
  return rounds;
}

async function killTogether(
  cases: readonly Case[],
  failpoints: string,
  hanging: readonly string[],
  expected: 'succeeded' | 'undone',
): Promise<void> {
  await arm(product, failpoints);
  const operations: OperationView[] = [];
  for (const one of cases) operations.push(await one.start());
  await until(
    `operations to hang at ${hanging.join()}`,
    async () => {
      const found = (await failpointsOf(product)).hanging;
      return hanging.every((name) => found.includes(name));
    },
    180_000,
  );
  await killControl(product);
  for (const [index, operation] of operations.entries())
    await checkEnd(cases[index]!, await ended(product, operation), expected);
  // What was staged by a killed process is swept a day later: looked at in the last test.
  await assertNothingLeft(product, { except: /^staged file/, when: `after ${failpoints}` });
}

let killed = 0;

test('killed at every failpoint of every operation, it is finished by the next control', async (context) => {
  context.diagnostic(`seed ${chance.seed}`);
  const crossed = await learn();
  const targets = [...crossed].flatMap(([kind, names]) =>
    names.filter((name) => kind !== 'delete' || !inRegion.test(name)).map((failpoint) => ({ kind, failpoint })),
  );
  const rounds = planRounds(chance.shuffle(targets), crossed);
  for (const round of rounds) {
    const cases: Case[] = [];
    for (const { kind } of round) cases.push(await scene.newCase(kind));
    const names = round.map(({ failpoint }) => failpoint);
    await killTogether(cases, names.map((name) => `${name}=hang`).join(), names, 'succeeded');
  }
  await scene.checkSubjects();
  killed += targets.length;
  for (const [kind, names] of crossed) context.diagnostic(`${kind}: ${names.length} failpoints`);
  context.diagnostic(`${targets.length} failpoints killed in ${rounds.length} rounds`);
});

test('killed while an operation is taken back, it is taken back by the next control', async (context) => {
  context.diagnostic(`seed ${chance.seed}`);
  const undoable = ['create', 'clone', 'import'] as const;
  const steps = new Map<Kind, string[]>();
  for (const kind of undoable) {
    const one = await scene.newCase(kind);
    const operation = await ended(product, await one.start());
    await checkEnd(one, operation, 'succeeded');
    const names = operation.steps.map(({ name }) => name);
    // Nothing goes back once the host name is there.
    steps.set(kind, names.slice(0, names.indexOf('host') + 1));
  }
  let count = 0;
  while ([...steps.values()].some((names) => names.length > 0)) {
    const cases: Case[] = [];
    const armed: string[] = [];
    const hanging: string[] = [];
    for (const kind of undoable) {
      const name = steps.get(kind)!.pop();
      if (name === undefined) continue;
      cases.push(await scene.newCase(kind));
      hanging.push(`lifecycle.${kind}.${name}.undo`);
      armed.push(`lifecycle.${kind}.host.before=error`, `lifecycle.${kind}.${name}.undo=hang`);
    }
    await killTogether(cases, armed.join(), hanging, 'undone');
    count += cases.length;
  }
  await scene.checkSubjects();
  killed += count;
  context.diagnostic(`${count} failpoints killed`);
});

test('bytes that a killed process was about to store are all that is left, and a day later not even they', async () => {
  await assertNothingLeft(product, { except: /^staged file/ });
  // The sweep itself is proved beside its source (src/files/kill.test.ts); that control does it takes a minute to see.
  if (!isSlow) return;
  const staging = join(foldersOf(product.dataDir).files, '.staging');
  for (const name of existsSync(staging) ? readdirSync(staging) : []) utimesSync(join(staging, name), 0, 0);
  await killControl(product);
  await until('nothing to be left over', async () => (await findLeftovers(product)).length === 0, 120_000);
});

test('the neighbour did not notice anything', async (context) => {
  await bystander.stop();
  assert.deepEqual(bystander.failures, []);
  assert.ok(bystander.requests > 100);
  context.diagnostic(`${killed} kills of control, ${bystander.requests} requests of the neighbour, 0 failed`);
});
