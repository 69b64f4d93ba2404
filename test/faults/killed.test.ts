/**
 * SIGKILL for each process of a running installation while people write. After each, the installation recovers by itself (or by the next
 * `up`, when its supervisor was killed): every acknowledged write is there exactly once, sessions stay valid, nothing runs on alone.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Freehold, until } from '../acceptance/harness.ts';
import { findLeftovers } from './support/leftovers.ts';
import { newName } from './support/lifecycle.ts';
import { checkWrites, startWriters } from './support/load.ts';
import { begin, createTenant, ended, type Installation, type Tenant } from './support/operator.ts';
import { findProcesses, pidsOf } from './support/processes.ts';
import { arm, armable, controlIsBack } from './support/product.ts';
import { startChance } from './support/random.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const chance = startChance();
const ports = { port: 0, consolePort: 0 };

let freehold: Freehold;
let at: Installation;
let tenants: Tenant[];
const acknowledged = new Set<string>();
before(async () => {
  freehold = await Freehold.start({ env: armable });
  Object.assign(ports, { port: freehold.port, consolePort: freehold.consolePort });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  tenants = [await createTenant(at, newName()), await createTenant(at, newName())];
});
after(async () => {
  for (const { client } of tenants ?? []) await client.close();
  await freehold?.stop();
  assert.deepEqual(findProcesses(at.dataDir), []);
});

/** The next `up`, on the same ports, so that everybody's addresses stay. Nobody does anything by hand in between. */
async function upAgain(): Promise<void> {
  freehold = await Freehold.start({
    env: armable,
    dataDir: at.dataDir,
    port: ports.port,
    consolePort: ports.consolePort,
  });
}

/** What is killed, and what brings it back. Backends are chosen anew each time: they come and go. */
const victims = {
  control: () => pidsOf(at.dataDir, 'control'),
  gateway: () => [chance.pick(pidsOf(at.dataDir, 'gateway'))],
  'every gateway': () => pidsOf(at.dataDir, 'gateway'),
  postmaster: () => pidsOf(at.dataDir, 'postmaster').filter((pid) => isPostmaster(pid)),
  backend: () => [chance.pick(pidsOf(at.dataDir, 'backend'))],
  supervisor: () => pidsOf(at.dataDir, 'supervisor'),
  everything: () => findProcesses(at.dataDir).map(({ pid }) => pid),
} as const;
type Victim = keyof typeof victims;
const endsSupervisor: readonly Victim[] = ['supervisor', 'everything'];

/** The one whose parent is no server process itself. */
function isPostmaster(pid: number): boolean {
  const all = findProcesses(at.dataDir);
  const parentPid = all.find((one) => one.pid === pid)?.parentPid;
  return !all.some((one) => one.pid === parentPid && one.role === 'postmaster');
}

async function killRound(context: TestContext, victim: Victim): Promise<{ checked: number; refused: string }> {
  const writers = startWriters(tenants, { perTenant: 3, pauseMs: 20 });
  context.after(() => writers.stop());
  await until('people to write', async () => writers.acknowledged.size > 20, 180_000);
  await delay(chance.below(300));
  const before = { control: pidsOf(at.dataDir, 'control'), gateways: pidsOf(at.dataDir, 'gateway') };
  const pids = victims[victim]();
  assert.ok(pids.length > 0, `no ${victim} to kill`);
  for (const pid of pids) killNow(pid);
  if (endsSupervisor.includes(victim)) {
    if (victim === 'supervisor') {
      await until('the orphans to end by themselves', async () => findProcesses(at.dataDir).length === 0);
    }
    await upAgain();
  }
  const already = writers.acknowledged.size;
  await until(
    `people to write again after ${victim} was killed`,
    async () => writers.acknowledged.size > already + 20,
    180_000,
  );
  await controlIsBack(at);
  await writers.stop();
  for (const name of writers.acknowledged) acknowledged.add(name);

  // The same sessions as at the beginning: nobody signed in again.
  const { checked, lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] }, `after ${victim} was killed`);
  for (const { client } of tenants) assert.equal((await client.get('/-/api/session')).status, 200);
  assertOneOfEach();
  if (victim === 'control') assert.notDeepEqual(pidsOf(at.dataDir, 'control'), before.control);
  if (victim === 'every gateway') {
    assert.ok(pidsOf(at.dataDir, 'gateway').every((pid) => !before.gateways.includes(pid)));
  }
  return { checked, refused: [...writers.refusals].map(([what, times]) => `${what} × ${times}`).join(', ') };
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended with another that was killed a moment before.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** No second postmaster, control or gateway, and nothing whose parent is gone. */
function assertOneOfEach(): void {
  const all = findProcesses(at.dataDir);
  const count = (role: string): number => all.filter((one) => one.role === role).length;
  const postmasters = all.filter((one) => one.role === 'postmaster' && isPostmaster(one.pid));
  assert.deepEqual(
    [count('supervisor'), count('control'), postmasters.length, pidsOf(at.dataDir, 'gateway').length > 0],
    [1, 1, 1, true],
    JSON.stringify(all),
  );
  assert.deepEqual(
    all.filter((one) => one.parentPid === 1),
    [],
  );
}

for (const victim of Object.keys(victims) as Victim[]) {
  test(`${victim} killed under load: nothing acknowledged is lost`, async (context) => {
    context.diagnostic(`seed ${chance.seed}`);
    const { checked, refused } = await killRound(context, victim);
    context.diagnostic(`${checked} acknowledged writes checked, 0 lost; not acknowledged: ${refused || 'none'}`);
  });
}

test('killed in random order, again and again', async (context) => {
  context.diagnostic(`seed ${chance.seed}`);
  const rounds = isSlow ? 60 : 3;
  const killed: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const victim = chance.pick(Object.keys(victims) as Victim[]);
    killed.push(victim);
    await killRound(context, victim);
  }
  context.diagnostic(
    `${rounds} rounds (${killed.join(', ')}), ${acknowledged.size} acknowledged writes checked, 0 lost`,
  );
});

test('control killed while a database is prepared: no prepared database is left half-made', async () => {
  for (const failpoint of ['pool.make.before', 'databases.create.made', 'databases.create.ready', 'pool.make.after']) {
    await until('the pool to be full', async () => {
      const leftovers = await findLeftovers(at);
      return leftovers.length === 0;
    });
    const [before] = pidsOf(at.dataDir, 'control');
    await arm(at, `${failpoint}=kill`);
    // Takes a prepared one, which wakes the pool.
    const operation = await begin(at, '/api/tenants', { name: newName(), adminEmail: 'ada@example.com' });
    await until(`control to die at ${failpoint}`, async () => !pidsOf(at.dataDir, 'control').includes(before!));
    await controlIsBack(at);
    assert.equal((await ended(at, operation)).state, 'succeeded');
  }
  await until('everything to be in order', async () => (await findLeftovers(at)).length === 0);
});
