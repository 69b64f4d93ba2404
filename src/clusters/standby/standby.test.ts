import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog, waitFor } from '#src/kernel/index.ts';
import { openConnection, openReplication } from '#src/postgres/index.ts';
import { type ClusterOptions, createCluster } from '../server.ts';
import { planFailover } from './offline.ts';
import { following, makePairHome, type PairHome } from './pair.fixture.ts';
import type { ClusterPair } from './pair.ts';
import { measureStandbyLag } from './position.ts';
import { otherMember, readRoles } from './roles.ts';
import { runAsSuperuser } from './superuser.ts';

/** A pair whose standby follows, and a table to write to. */
async function startPair(context: TestContext, overrides: Parameters<PairHome['open']>[0] = {}) {
  const home = await makePairHome();
  let pair = home.open(overrides);
  context.after(async () => {
    await pair.stop();
    await home.remove();
  });
  await pair.start();
  await write(home, 'CREATE TABLE kept (n int PRIMARY KEY)');
  await pair.startStandby();
  await following(pair);
  return {
    home,
    pair: () => pair,
    /** What the next supervisor does: on the same folders, knowing nothing but what is on disk. */
    again: async (next: Parameters<PairHome['open']>[0] = {}) => {
      pair = home.open(next);
      await pair.start();
      return pair;
    },
  };
}

async function write(home: PairHome, statement: string): Promise<void> {
  const connection = await home.connect();
  await connection.script(statement).finally(() => connection.close());
}

async function rowsIn(home: PairHome, host = home.target.host): Promise<number[]> {
  const connection = await openConnection({ ...home.target, host }, { applicationName: 'test' });
  const rows = await connection.query<{ n: number }>('SELECT n FROM kept ORDER BY n').finally(() => connection.close());
  return rows.map(({ n }) => n);
}

/** Waits until the standby has what the primary has. */
async function assertFollows(home: PairHome, pair: ClusterPair): Promise<void> {
  const { primary } = await following(pair);
  const expected = await rowsIn(home);
  const socketDir = home.socketDirOf(otherMember(primary));
  await waitFor('the standby to hold the same', async () => {
    const held = await rowsIn(home, socketDir).catch(() => undefined);
    return held?.join() === expected.join();
  });
}

async function processIdOf(home: PairHome, member: 'main' | 'standby'): Promise<number> {
  return Number.parseInt(await readFile(path.join(home.options.members[member].dataDir, 'postmaster.pid'), 'utf8'), 10);
}

test('a standby is copied, follows, is started again when killed, and copied again when it cannot follow', async (context) => {
  const { home, pair } = await startPair(context, { cannotFollowMs: 10_000 });
  await write(home, 'INSERT INTO kept SELECT generate_series(1, 5)');
  await assertFollows(home, pair());
  const connection = await home.connect();
  const lag = await waitFor('nothing to be behind', async () => {
    const measured = await measureStandbyLag(connection);
    return measured?.lagBytes === 0 && measured;
  });
  assert.deepEqual(lag, { lagBytes: 0, lagMs: 0, isStreaming: true, isAttached: true, isLost: false });

  process.kill(await processIdOf(home, 'standby'), 'SIGKILL');
  await waitFor('its death to be seen', () => pair().status().standby.state !== 'following');
  await write(home, 'INSERT INTO kept VALUES (6)');
  await assertFollows(home, pair());

  // Its WAL is gone from the primary: no standby can follow from there.
  process.kill(await processIdOf(home, 'standby'), 'SIGKILL');
  await rm(path.join(home.options.members.standby.dataDir, 'pg_wal'), { recursive: true });
  await write(home, 'INSERT INTO kept VALUES (7)');
  await waitFor('it to be copied', () => pair().status().standby.state === 'seeding', { deadlineMs: 180_000 });
  await assertFollows(home, pair());
  await connection.close();
  assert.deepEqual(
    (await readdir(home.folder)).filter((name) => name.includes('seeding')),
    [],
  );
});

test('a planned failover and back: nothing is lost, address and slots stay, the old primary follows', async (context) => {
  const { home, pair, again } = await startPair(context);
  await createSlot(home, 'of_another');
  await pair().stop();
  await again();
  await pair().startStandby();
  await following(pair());
  await hasSlot(home, 'standby');
  for (const [round, to] of (['standby', 'main', 'standby'] as const).entries()) {
    await write(home, `INSERT INTO kept VALUES (${round})`);
    const said: string[] = [];
    const report = await pair().failover((text) => said.push(text));
    assert.deepEqual([report.to, report.planned, report.lostBytes], [to, true, 0]);
    assert.ok(said.length >= 3);
    assert.equal((await rowsIn(home)).length, round + 1);
    await assertFollows(home, pair());
    for (const member of ['main', 'standby'] as const) await hasSlot(home, member);
  }
  context.diagnostic(`closed for ${pair().status().lastFailover?.closedMs} ms`);
  await assert.rejects(readdir(home.options.handoverDir), { code: 'ENOENT' });

  // The old primary is marked, whoever starts it.
  await pair().stop();
  const { passFile: _, ...old } = home.options.members.main;
  const alone = createCluster({
    ...old,
    port: 5432,
    maxConnections: 30,
    binaries: home.options.binaries,
    log: silentLog,
  });
  await assert.rejects(alone.start(), { code: 'FH_CLUSTER_FENCED' });
});

test('a primary that hangs is ended, and what it had written is taken from its folder', async (context) => {
  const { home, pair, again } = await startPair(context);
  // The standby hears nothing of this: it is stopped in the middle of a word.
  const standby = await processIdOf(home, 'standby');
  const receivers = await childrenOf(standby);
  for (const pid of receivers) process.kill(pid, 'SIGSTOP');
  await write(home, 'INSERT INTO kept SELECT generate_series(1, 1000)');
  process.kill(await processIdOf(home, 'main'), 'SIGSTOP');
  for (const pid of await childrenOf(await processIdOf(home, 'main'))) process.kill(pid, 'SIGSTOP');
  for (const pid of receivers) process.kill(pid, 'SIGCONT');
  const report = await pair().failover();
  assert.deepEqual([report.to, report.planned, report.lostBytes], ['standby', false, 0]);
  assert.equal((await rowsIn(home)).length, 1000);
  await assertFollows(home, pair());
  await pair().stop();
  await again();
  assert.equal((await rowsIn(home)).length, 1000);
});

/** The standby hears nothing of what is written meanwhile: more than lies in a socket on the way. */
async function writeUnheard(
  context: TestContext,
  home: PairHome,
  standby: 'main' | 'standby',
  rows: string,
): Promise<() => void> {
  const receiver = await waitFor('the receiver', async () => {
    for (const pid of await childrenOf(await processIdOf(home, standby)))
      if (/walreceiver/.test(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))) return pid;
    return undefined;
  });
  process.kill(receiver, 'SIGSTOP');
  let isStopped = true;
  const goOn = (): void => {
    // Once: later the number may be somebody else's.
    if (isStopped) process.kill(receiver, 'SIGCONT');
    isStopped = false;
  };
  context.after(goOn);
  await write(
    home,
    `CREATE TABLE bulk_of_${standby} AS SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 30000) n`,
  );
  await write(home, `INSERT INTO kept ${rows}`);
  // The log ends with a segment: there is no file behind it.
  await runAsSuperuser(superuserOf(home, standby === 'main' ? 'standby' : 'main'), 'SELECT pg_switch_wal()');
  return goOn;
}

const superuserOf = ({ options }: PairHome, member: 'main' | 'standby'): ClusterOptions => ({
  ...options,
  ...options.members[member],
  log: silentLog,
});

/** A server is killed, and its folder is not there any more. */
async function loseServer(home: PairHome, member: 'main' | 'standby'): Promise<void> {
  const postmaster = await processIdOf(home, member);
  await rename(home.options.members[member].dataDir, path.join(home.folder, `lost-${member}`));
  process.kill(postmaster, 'SIGKILL');
}

test('a primary lost with its folder, or with a part of its log: the standby, which was behind, gets what was shipped', async (context) => {
  const { home, pair } = await startPair(context);
  let goOn = await writeUnheard(context, home, 'standby', 'SELECT generate_series(1, 100)');
  await home.ship('main');
  await loseServer(home, 'main');
  goOn();
  const said: string[] = [];
  const lost = await pair().failover((text) => said.push(text));
  assert.deepEqual([lost.planned, lost.lostBytes, lost.shipped?.isComplete], [false, undefined, true]);
  assert.ok(lost.shipped!.takenBytes > 2 ** 24, `${lost.shipped!.takenBytes}`);
  assert.match(said.join('\n'), /fetching \d+ bytes/);
  assert.equal((await rowsIn(home)).length, 100);
  await assertFollows(home, pair());
  await assert.rejects(readdir(home.options.handoverDir), { code: 'ENOENT' });

  // The folder is there this time, but what the standby needs of it is cut short.
  goOn = await writeUnheard(context, home, 'main', 'SELECT generate_series(101, 200)');
  await home.ship('standby');
  const { dataDir } = home.options.members.standby;
  const postmaster = await processIdOf(home, 'standby');
  const segments = (await readdir(path.join(dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name));
  process.kill(postmaster, 'SIGSTOP');
  for (const name of segments) await truncate(path.join(dataDir, 'pg_wal', name), 8192);
  goOn();
  const damaged = await pair().failover();
  assert.deepEqual([damaged.to, damaged.lostBytes, damaged.shipped?.isComplete], ['main', undefined, true]);
  assert.equal((await rowsIn(home)).length, 200);
  await assertFollows(home, pair());
});

test('a primary lost with its folder while nobody has what was shipped: not without a word when a tenant may lose nothing', async (context) => {
  const { home, pair, again } = await startPair(context);
  await write(home, "ALTER DATABASE freehold_control SET synchronous_commit = 'remote_apply'");
  await write(home, 'SET synchronous_commit = local; INSERT INTO kept VALUES (1)');
  await assertFollows(home, pair());
  // Nothing was ever shipped.
  await loseServer(home, 'main');
  const refused = { code: 'FH_FAILOVER_WOULD_LOSE', detail: '1 tenant has recovery point zero; kept: it is away' };
  await assert.rejects(pair().failover(), refused);
  assert.equal(pair().status().primary, 'main');
  await assert.rejects(readdir(home.options.members.main.dataDir), { code: 'ENOENT' });

  // While nothing runs: the next start tries it again, and again, until it is told.
  await pair().stop();
  const dataDirs = { main: home.options.members.main.dataDir, standby: home.options.members.standby.dataDir };
  await planFailover({ rolesFile: home.options.rolesFile, dataDirs });
  await assert.rejects(again(), refused);
  await pair().stop();
  await planFailover({ rolesFile: home.options.rolesFile, dataDirs, acceptLoss: true });
  await again();
  const { lastFailover, primary } = pair().status();
  assert.deepEqual(
    [primary, lastFailover?.lostBytes, lastFailover?.shipped?.isComplete],
    ['standby', undefined, false],
  );
  assert.equal(lastFailover!.shipped!.problem, 'kept: it is away');
  assert.deepEqual(await rowsIn(home), [1]);
});

test('automatic failover, when it is on, replaces a primary that does not answer', async (context) => {
  const { home, pair } = await startPair(context, { failover: 'automatic', automaticAfterMs: 10_000 });
  await write(home, 'INSERT INTO kept VALUES (1)');
  await assertFollows(home, pair());
  process.kill(await processIdOf(home, 'main'), 'SIGSTOP');
  await waitFor('the standby to take over', () => pair().status().primary === 'standby', { deadlineMs: 180_000 });
  await assertFollows(home, pair());
  assert.deepEqual(await rowsIn(home), [1]);
});

test('automatic failover that could lose what was promised waits until somebody has what was shipped', async (context) => {
  const failures: unknown[] = [];
  const log = {
    ...silentLog,
    error: (_message: string, fields?: { error?: { code?: string } }) => failures.push(fields?.error?.code),
  };
  const { home, pair } = await startPair(context, { failover: 'automatic', automaticAfterMs: 10_000, log });
  await write(home, "ALTER DATABASE freehold_control SET synchronous_commit = 'remote_apply'");
  await write(home, 'SET synchronous_commit = local; INSERT INTO kept VALUES (1)');
  await assertFollows(home, pair());
  await home.ship('main');
  const giveBack = await home.loseShipped();
  await loseServer(home, 'main');
  await waitFor('a failover to be refused', () => failures.includes('FH_FAILOVER_WOULD_LOSE'), { deadlineMs: 180_000 });
  assert.equal(pair().status().primary, 'main');
  await giveBack();
  await waitFor('the standby to take over', () => pair().status().primary === 'standby', { deadlineMs: 180_000 });
  assert.deepEqual(await rowsIn(home), [1]);
  await following(pair());
});

test('without a standby: no failover, no slot, and no empty server in place of a missing folder', async (context) => {
  const { home, pair, again } = await startPair(context);
  await pair().stop();
  const alone = await again({ standby: 'off' });
  await alone.startStandby();
  await assert.rejects(alone.failover(), { code: 'FH_FAILOVER_NO_STANDBY' });
  const connection = await home.connect();
  assert.deepEqual(await connection.query('SELECT slot_name FROM pg_replication_slots'), []);
  await connection.close();

  await alone.stop();
  await rm(home.options.members.main.dataDir, { recursive: true });
  await assert.rejects(again(), { code: 'FH_CLUSTER_DATA_MISSING' });
});

test('killed while it hands over what was shipped: the next start does it again, and nothing is lost', async (context) => {
  const { home, pair, again } = await startPair(context);
  await pair().stop();
  const child = home.failOverInChild('clusters.failover.shipped_handed_over=kill');
  context.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await once(child.stdout!, 'data');
  const goOn = await writeUnheard(context, home, 'standby', 'SELECT generate_series(1, 100)');
  await home.ship('main');
  await loseServer(home, 'main');
  goOn();
  child.stdin!.write('go\n');
  assert.equal((await ended)[1], 'SIGKILL');
  await again();
  assert.equal(pair().status().primary, 'standby');
  assert.equal((await rowsIn(home)).length, 100);
  await pair().startStandby();
  await assertFollows(home, pair());
});

const failpoints = ['recorded', 'stopped', 'fenced', 'caught_up', 'promoted', 'linked', 'done'] as const;
test('killed anywhere in a failover: the next start continues or undoes it, and nothing is lost', async (context) => {
  const { home, pair, again } = await startPair(context);
  let rows = 0;
  for (const name of failpoints) {
    const before = pair().status().primary;
    await pair().stop();
    const child = home.failOverInChild(`clusters.failover.${name}=kill`);
    const ended = once(child, 'exit');
    await once(child.stdout!, 'data');
    await write(home, `INSERT INTO kept SELECT generate_series(${rows + 1}, ${rows + 100})`);
    rows += 100;
    child.stdin!.write('go\n');
    const [, signal] = await ended;
    assert.equal(signal, 'SIGKILL', name);

    await again();
    const undone = ['recorded', 'stopped', 'fenced'].includes(name);
    assert.equal(pair().status().primary, undone ? before : otherMember(before), name);
    assert.equal((await readRoles(home.options.rolesFile)).failover, undefined);
    assert.equal((await rowsIn(home)).length, rows, name);
    await write(home, `INSERT INTO kept VALUES (${++rows})`);
    await pair().startStandby();
    await assertFollows(home, pair());
  }
});

test('killed anywhere while the standby is copied: the next start copies again and leaves nothing behind', async (context) => {
  const { home, pair, again } = await startPair(context);
  for (const name of ['folder_made', 'copied', 'old_aside', 'renamed']) {
    await pair().stop();
    await writeFile(home.options.rolesFile, '{"format":1,"primary":"main","standbyDiverged":true}');
    const [, signal] = await once(home.seedInChild(`clusters.seed.${name}=kill`), 'exit');
    assert.equal(signal, 'SIGKILL', name);
    await again();
    await pair().startStandby();
    await assertFollows(home, pair());
    const left = (await readdir(home.folder)).filter((entry) => entry.includes('.seeding-'));
    assert.deepEqual(left, [], name);
  }
});

test('a file of roles that makes no sense stops the start', async (context) => {
  const home = await makePairHome();
  context.after(() => home.remove());
  await writeFile(home.options.rolesFile, '{"format":1,"primary":"third"}');
  await assert.rejects(home.open().start(), TypeError);
});

async function createSlot(home: PairHome, name: string): Promise<void> {
  const target = { ...home.target, user: 'freehold_replication', password: home.options.replicationPassword };
  const connection = await openReplication(target, { applicationName: 'test' });
  await connection.createPhysicalSlot(name).finally(() => connection.close());
}

/** The slot of somebody else than the standby is on both servers, so that a failover leaves no gap. */
async function hasSlot(home: PairHome, member: 'main' | 'standby'): Promise<void> {
  await waitFor(`the slot on ${member}`, async () => {
    const target = { ...home.target, host: home.socketDirOf(member) };
    const connection = await openConnection(target, { applicationName: 'test' });
    const slots = await connection
      .query<{ name: string }>(
        "SELECT slot_name AS name FROM pg_replication_slots WHERE slot_name = 'of_another' AND restart_lsn IS NOT NULL",
      )
      .finally(() => connection.close());
    return slots.length === 1;
  });
}

async function childrenOf(processId: number): Promise<number[]> {
  const text = await readFile(`/proc/${processId}/task/${processId}/children`, 'utf8');
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}
