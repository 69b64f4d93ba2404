/**
 * The ledger: tenants commit row after row, what was acknowledged is remembered outside, and everything that can be lost is lost in an order
 * that a seed gives. After each loss a tenant is restored to some moment from one region alone: all of the time before is there, nothing of the
 * time after, and nobody else is touched. FREEHOLD_SLOW_TESTS=1 plays 200 rounds of each kind, FREEHOLD_ROUNDS and FREEHOLD_SEED choose others.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Freehold, findCrashes, newFolder, runLauncher, until } from '../acceptance/harness.ts';
import { startFaults } from './support/faults.ts';
import { compare, type Ledger, type LedgerWriters, nothingFound, readLedger, startLedgers } from './support/ledger.ts';
import { newName } from './support/lifecycle.ts';
import { command, createTenant, finish, type Installation, type Json, signIn } from './support/operator.ts';
import { findProcesses } from './support/processes.ts';
import { startChance } from './support/random.ts';
import { createRegions, otherThan, type RegionName, type Regions, regionNames } from './support/regions.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const roundsOf = (short: number): number => Number(process.env.FREEHOLD_ROUNDS ?? (isSlow ? 200 : short));
const tenantCount = isSlow ? 20 : 3;
/** What may be lost of commits that wait for no region. Beside other tests the machine itself may stand still for longer than the second that is promised. */
const recoveryPointMs = isSlow ? 1_000 : 15_000;

// The short version is the same each time; the soak looks for what nobody has seen yet.
const chance = isSlow ? startChance() : startChance(1);
const kitFolder = newFolder();
const kitFile = join(kitFolder, 'kit.txt');
let regions: Regions;
let freehold: Freehold;
let at: Installation;
let writers: LedgerWriters;
/** Every moment since then can be restored. */
let sinceMs: number;

const settings = () => ({ FREEHOLD_STANDBY: 'on', FREEHOLD_PREPARED_DATABASES: '0', ...regions.env });

before(async () => {
  regions = createRegions();
  freehold = await Freehold.start({ env: settings() });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  const tenants: Awaited<ReturnType<typeof createTenant>>[] = [];
  for (let index = 0; index < tenantCount; index++) tenants.push(await createTenant(at, newName()));
  await json('backup', 'run');
  for (const { name } of tenants.filter(isZero)) await json('tenant', 'set', name, '--recovery-point', 'zero');
  writeFileSync(kitFile, (await json('recovery-kit', '--yes')).kit);
  await until(
    'the files of everybody to lie in both regions',
    async () =>
      regionNames.every((region) =>
        tenants.every(({ tenantId }) => existsSync(join(regions.folderOf(region), 'files', tenantId))),
      ),
    180_000,
  );
  writers = startLedgers(tenants, { pauseMs: isSlow ? 400 : 50 });
  await until('everybody to write', async () => writers.ledgers.every(({ entries }) => entries.length > 5));
  sinceMs = Date.now();
});
after(async () => {
  await writers?.stop();
  for (const { tenant } of writers?.ledgers ?? []) await tenant.client.close();
  await freehold?.stop();
  regions.remove();
  rmSync(kitFolder, { recursive: true, force: true });
  assert.deepEqual(findProcesses(at.dataDir), []);
});

/** Every second tenant accepts no loss at all. */
function isZero(_tenant: unknown, index: number): boolean {
  return index % 2 === 1;
}

async function json(...args: string[]): Promise<Json> {
  const { code, stdout, stderr } = await freehold.run(...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

async function upAgain(): Promise<void> {
  const { port, consolePort } = freehold;
  freehold = await Freehold.start({ env: settings(), dataDir: at.dataDir, port, consolePort });
}

/** Both regions have what is acknowledged by now, and nothing is owed. */
async function regionsCaughtUp(): Promise<void> {
  let seen: Json;
  await until(
    'both regions to have everything',
    async () => {
      const health = await command(at, 'GET', '/api/health').catch(() => undefined);
      seen = health?.json?.clusters?.[0].shipping ?? health?.json;
      return (
        seen?.state === 'shipping' &&
        seen.regions.every(
          (one: Json) => one.state !== 'away' && one.lagMs < 2_000 && one.behindBytes < 1_000_000 && !one.owedBytes,
        )
      );
    },
    120_000,
  ).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}`));
  assert.equal(seen.gaps ?? 0, 0, 'WAL was lost that no region has');
}

/** Everybody's rows as they are now: each acknowledged one, once. */
async function checkLive(ledgers: readonly Ledger[], what: string): Promise<void> {
  for (const ledger of ledgers) {
    const nowMs = Date.now();
    const findings = compare(ledger, await readLedger(ledger.tenant), nowMs);
    assert.deepEqual(findings, nothingFound, `${what}: ${ledger.tenant.name} as it is`);
  }
}

/** One tenant, one moment, one region; the other region lets nobody in meanwhile. */
async function checkRestore(ledger: Ledger, region: RegionName, momentMs: number, what: string): Promise<void> {
  const { tenant } = ledger;
  const moment = { kind: 'time', time: new Date(momentMs).toISOString() };
  const copy = newName();
  const giveBack = regions.deny(otherThan(region));
  await finish(at, `/api/tenants/${tenant.tenantId}/restore`, { newName: copy, moment }, 180_000).finally(giveBack);
  await regionsCaughtUp();
  const client = await signIn(at, copy);
  const held = await readLedger({ ...tenant, client });
  await client.close();
  const findings = compare(ledger, held, momentMs, momentMs);
  assert.deepEqual(findings, nothingFound, `${what}: ${tenant.name} at ${moment.time} from ${region}`);
  await finish(at, `/api/tenants/${copy}/delete`, { confirm: copy, now: true });
}

/** Half of them lately, where the faults were; the others anywhere. */
const someMoment = (latelyMs: number): number => {
  const from = chance.below(2) === 0 ? latelyMs : sinceMs;
  return from + chance.below(Date.now() - from);
};

async function peopleWrite(): Promise<void> {
  const already = writers.count();
  await until('people to write', async () => writers.count() > already + tenantCount, 120_000);
}

test('whatever is lost, a tenant is restored to any moment from one region alone', async (context) => {
  const faults = startFaults({ at, chance, regions, run: (...args) => freehold.run(...args), upAgain });
  await play(context, roundsOf(1), async (round) => {
    const begunMs = Date.now();
    await peopleWrite();
    const what = await faults.happen(round);
    await peopleWrite();
    await regionsCaughtUp();
    const ledger = chance.pick(writers.ledgers);
    const region = chance.pick(regionNames);
    const momentMs = someMoment(begunMs);
    await checkRestore(ledger, region, momentMs, what);
    const others = chance.shuffle(writers.ledgers.filter((one) => one !== ledger)).slice(0, 2);
    await checkLive([ledger, ...others], what);
    return `${what}; ${Math.round((Date.now() - momentMs) / 1000)} s back from ${region}`;
  });
  await checkLive(writers.ledgers, 'after all of it');
});

test('recovery point 0: the machine is lost, one region alone has all that was acknowledged', async (context) => {
  await play(context, roundsOf(1), async () => {
    await regionsCaughtUp();
    await peopleWrite();
    await delay(chance.below(500));
    const region = chance.pick(regionNames);
    const killedAtMs = Date.now();
    for (const { pid } of findProcesses(at.dataDir)) killNow(pid);
    await writers.pause();
    await until('everything to be dead', async () => findProcesses(at.dataDir).length === 0);
    assert.deepEqual(findCrashes(at.dataDir), []);
    rmSync(at.dataDir, { recursive: true });
    await rebuild(region);
    await writers.signInAgain(at);
    const lossMs = await checkRebuilt(killedAtMs, `rebuilt from ${region}`);
    writers.resume();
    return `rebuilt from ${region}: the others lost the last ${lossMs} ms`;
  });
  await peopleWrite();
  await regionsCaughtUp();
  await checkRestore(chance.pick(writers.ledgers), chance.pick(regionNames), someMoment(sinceMs), 'after all of it');
  await checkLive(writers.ledgers, 'after all of it');
});

/** One round after the other, each with what repeats it; a failing one with what the processes logged lately. */
async function play(
  context: TestContext,
  rounds: number,
  playRound: (round: number) => Promise<string>,
): Promise<void> {
  context.diagnostic(`${rounds} rounds, seed ${chance.seed}`);
  for (let round = 1; round <= rounds; round++) {
    const begunMs = Date.now();
    const told = await playRound(round).catch((error: Error) => {
      const troubles = freehold.readTroubles().slice(-6_000);
      throw new Error(`round ${round} of seed ${chance.seed}: ${error.message}\n${troubles}`, { cause: error });
    });
    context.diagnostic(`round ${round}: ${told}, ${Date.now() - begunMs} ms`);
  }
}

async function rebuild(region: RegionName): Promise<void> {
  const giveBack = regions.deny(otherThan(region));
  try {
    const { code, stderr } = await runLauncher(
      [
        'recover',
        '--region',
        `${region}=${regions.folderOf(region)}`,
        '--kit',
        kitFile,
        '--data',
        at.dataDir,
        '--json',
      ],
      regions.env,
    );
    assert.equal(code, 0, stderr);
  } finally {
    giveBack();
  }
  await upAgain();
}

/** What was lost is taken out of the ledgers. @returns of how long work was lost at most, of tenants that wait for no region */
async function checkRebuilt(killedAtMs: number, what: string): Promise<number> {
  let lossMs = 0;
  for (const [index, ledger] of writers.ledgers.entries()) {
    const held = await readLedger(ledger.tenant);
    const owedUntilMs = isZero(ledger, index) ? Number.POSITIVE_INFINITY : killedAtMs - recoveryPointMs;
    const findings = compare(ledger, held, owedUntilMs);
    assert.deepEqual(
      findings,
      nothingFound,
      `${what}: ${ledger.tenant.name} (${isZero(ledger, index) ? 'zero' : 'second'})`,
    );
    const isKept = ({ n }: { n: number }): boolean => held.has(`${ledger.tenant.name}/${n}`);
    for (const entry of ledger.entries)
      if (entry.acknowledgedAtMs !== undefined && !isKept(entry))
        lossMs = Math.max(lossMs, killedAtMs - entry.acknowledgedAtMs);
    ledger.entries = ledger.entries.filter(isKept);
  }
  return lossMs;
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended with another that was killed a moment before.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
