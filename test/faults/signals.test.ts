/** How an installation ends and how it refuses to begin: SIGTERM under load, in the middle of the start, to everybody at once; wrong folders and ports. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Freehold, freePort, newFolder, repository, until } from '../acceptance/harness.ts';
import { newName } from './support/lifecycle.ts';
import { checkWrites, startWriters } from './support/load.ts';
import { createTenant, type Installation, sent, type Tenant } from './support/operator.ts';
import { findProcesses } from './support/processes.ts';
import { startChance } from './support/random.ts';
import { uploadSlowly } from './support/slow-upload.ts';

/** Far more than the drain of a request: on a busy machine everything takes longer. */
const stopWithinMs = 180_000;
const chance = startChance();

let freehold: Freehold;
let at: Installation;
let tenants: Tenant[];
const acknowledged = new Set<string>();
before(async () => {
  freehold = await Freehold.start();
  at = { dataDir: freehold.dataDir, port: freehold.port };
  tenants = [await createTenant(at, newName()), await createTenant(at, newName())];
});
after(async () => {
  for (const { client } of tenants ?? []) await client.close();
  await freehold?.stop();
});

async function upAgain(): Promise<void> {
  const { dataDir, port, consolePort } = freehold;
  freehold = await Freehold.start({ dataDir, port, consolePort });
}

test('SIGTERM under load: what was begun is finished, nothing fails, the exit code is 0', async (context) => {
  const writers = startWriters(tenants, { perTenant: 4, pauseMs: 1 });
  context.after(() => writers.stop());
  await until('people to write', async () => writers.acknowledged.size > 50, 180_000);
  const slow = uploadSlowly(tenants[0]!, { pieces: 10, pieceBytes: 10_000, everyMs: 200 });
  await slow.begun;
  const begunAt = performance.now();
  const code = await freehold.stop({ keepData: true });
  const tookMs = Math.round(performance.now() - begunAt);
  assert.equal(code, 0);
  assert.ok(tookMs < stopWithinMs, `${tookMs} ms`);
  assert.equal(await slow.status, 201, 'an upload that was under way is finished');
  await writers.stop();
  for (const name of writers.acknowledged) acknowledged.add(name);
  // Nobody listens any more: that is the end, not a failure.
  assert.deepEqual(
    [...writers.refusals.keys()].filter((what) => what !== 'refused connection'),
    [],
  );
  assert.deepEqual(findProcesses(at.dataDir), []);
  context.diagnostic(`stopped in ${tookMs} ms, ${writers.acknowledged.size} writes acknowledged`);
});

test('the next start is warm, and everything is there', async (context) => {
  const begunAt = performance.now();
  await upAgain();
  context.diagnostic(`ready in ${Math.round(performance.now() - begunAt)} ms`);
  const { checked, lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  context.diagnostic(`${checked} acknowledged writes checked, 0 lost`);
});

test('a second `up` on the same folder refuses and says who runs, also through a link', async (context) => {
  const folder = newFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  const link = join(folder, 'link');
  symlinkSync(at.dataDir, link);
  const others = findProcesses(at.dataDir).map(({ pid }) => pid);
  for (const dataDir of [at.dataDir, link]) {
    const { code, stderr } = await tryUp(['--data', dataDir]);
    assert.equal(code, 1);
    assert.match(stderr, /already runs on this data folder/);
    assert.match(stderr, new RegExp(String(freehold.ready.pid)));
  }
  assert.deepEqual(
    findProcesses(at.dataDir)
      .map(({ pid }) => pid)
      .filter((pid) => others.includes(pid)).length > 0,
    true,
  );
  for (const { client } of tenants) assert.equal((await sent(client, 'GET', '/api/me')).user.email, 'ada@example.com');
});

test('SIGTERM for every process at once, as a service manager may send it, ends in order', async () => {
  const exited = once(freehold.child, 'exit');
  for (const { pid, role } of findProcesses(at.dataDir)) {
    if (role === 'backend') continue;
    try {
      process.kill(pid, 'SIGTERM');
    } catch (error) {
      // Its parent was told first and had ended it already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  assert.deepEqual(await within(stopWithinMs, exited), [0, null]);
  assert.deepEqual(findProcesses(at.dataDir), []);
  const log = readFileSync(join(at.dataDir, 'log/control.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  // A control that began after the signal would only have been stopped again.
  assert.equal(log.filter(({ msg }) => msg === 'ready').length, 2);
  await upAgain();
});

test('a stop that takes long says what it waits for, and a second Ctrl-C ends it at once', async () => {
  const [checkpointer] = findProcesses(at.dataDir).filter(({ command }) => /^postgres: .*checkpointer/.test(command));
  process.kill(checkpointer!.pid, 'SIGSTOP');
  const exited = once(freehold.child, 'exit');
  let said = '';
  freehold.child.stderr!.on('data', (chunk) => (said += chunk));
  freehold.child.kill('SIGINT');
  await until(
    'it to say why',
    async () => /writing its last changes to disk.*Ctrl-C ends it at once/.test(said),
    180_000,
  );
  freehold.child.kill('SIGINT');
  assert.deepEqual(await within(stopWithinMs, exited), [1, null]);
  await until('everything to end', async () => findProcesses(at.dataDir).length === 0, 180_000);
  await upAgain();
  const { lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
});

test('SIGTERM in the middle of the start: nothing stays, and the next start is a normal one', async (context) => {
  context.diagnostic(`seed ${chance.seed}`);
  assert.equal(await freehold.stop({ keepData: true }), 0);
  const fresh = newFolder();
  context.after(() => rmSync(fresh, { recursive: true, force: true }));
  // A new folder is being initialised; its database starts; control starts; an old folder's gateways start.
  for (const [dataDir, role] of [
    [fresh, 'initdb'],
    [fresh, 'postmaster'],
    [fresh, 'control'],
    [at.dataDir, 'gateway'],
  ] as const) {
    const ports = ['--port', String(await freePort()), '--console-port', String(await freePort())];
    const child = launch(['--data', dataDir, ...ports]);
    const exited = once(child, 'exit');
    await until(`${role} to start`, async () => findProcesses(dataDir).some((one) => one.role === role));
    const afterMs = chance.below(500);
    await delay(afterMs);
    child.kill('SIGTERM');
    const [code, signal] = await within(stopWithinMs, exited);
    assert.ok(code === 0 || code === 1, `${afterMs} ms into ${role} it ended with ${signal ?? code}`);
    await until('everything to end', async () => findProcesses(dataDir).length === 0, 180_000);
  }
  const second = await Freehold.start({ dataDir: fresh });
  assert.equal(await second.stop(), 0);
  await upAgain();
  const { lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
});

test('a folder of somebody else is refused and left as it was', async (context) => {
  const folder = newFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'thesis.txt'), 'mine');
  const { code, stderr } = await tryUp(['--data', folder]);
  assert.equal(code, 1);
  assert.match(stderr, /not an empty folder and not a data folder of Freehold/);
  assert.match(stderr, /--data DIR/);
  assert.deepEqual(readdirSync(folder), ['thesis.txt']);
  assert.deepEqual(findProcesses(folder), []);
});

test('a folder that cannot be written is refused', async (context) => {
  const folder = newFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'file'), '');
  // Root may write everywhere; but not below a file.
  const impossible = join(folder, 'file', 'data');
  const { code, stderr } = await tryUp(['--data', impossible]);
  assert.equal(code, 1);
  assert.match(stderr, /cannot create or write/);
  assert.deepEqual(readdirSync(folder), ['file']);
  assert.deepEqual(findProcesses(impossible), []);
});

for (const flag of ['--port', '--console-port']) {
  test(`${flag} of another program is refused, and nothing is left running`, async (context) => {
    const folder = newFolder();
    context.after(() => rmSync(folder, { recursive: true }));
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, stderr } = await tryUp(['--data', folder, flag, String(port)]);
    other.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`taken by another program.*${port}`));
    assert.deepEqual(readdirSync(folder), []);
    assert.deepEqual(findProcesses(folder), []);
  });
}

test('a folder that other users cannot enter is refused with the way out', async (context) => {
  const folder = newFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  const closed = join(folder, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const { code, stderr } = await tryUp(['--data', join(closed, 'data')]);
  // A person owns all parts, so for one there is no fence to pass.
  if (process.getuid?.() === 0) {
    assert.equal(code, 1);
    assert.match(stderr, /chmod o\+x/);
  }
  assert.deepEqual(findProcesses(closed), []);
});

function launch(args: string[]): ChildProcess {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(FREEHOLD_|NODE_TEST)/.test(name)));
  return spawn(join(repository, 'freehold'), ['up', '--json', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** An `up` that is meant to be refused; ports that are not named are free ones. */
async function tryUp(args: string[]): Promise<{ code: number | null; stderr: string }> {
  const ports = ['--port', '--console-port'].filter((flag) => !args.includes(flag));
  for (const flag of ports) args = [...args, flag, String(await freePort())];
  const child = launch(args);
  const [stderr, [code]] = await within(stopWithinMs, Promise.all([text(child.stderr!), once(child, 'exit')]));
  return { code, stderr };
}

async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`not done after ${deadlineMs} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    limit.abort();
  }
}
