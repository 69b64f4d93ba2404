/**
 * Failover while people write: the standby takes over and gives back, servers are killed, everything is killed. Nothing acknowledged is
 * lost, gateways and control go on as the processes that they were, errors are few, short and clear.
 */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { Freehold, until } from '../acceptance/harness.ts';
import { newName } from './support/lifecycle.ts';
import { checkWrites, startWriters, type Writers } from './support/load.ts';
import { command, createTenant, type Installation, type Tenant } from './support/operator.ts';
import { findProcesses, pidsOf } from './support/processes.ts';
import { controlIsBack } from './support/product.ts';
import { askAsSuperuser } from './support/superuser.ts';

const env = { FREEHOLD_STANDBY: 'on', FREEHOLD_PREPARED_DATABASES: '0' };

let freehold: Freehold;
let at: Installation;
let tenants: Tenant[];
const acknowledged = new Set<string>();
before(async () => {
  freehold = await Freehold.start({ env });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  tenants = [await createTenant(at, newName()), await createTenant(at, newName())];
  await standbyFollows();
});
after(async () => {
  for (const { client } of tenants ?? []) await client.close();
  await freehold?.stop();
  assert.deepEqual(findProcesses(at.dataDir), []);
});

// biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
async function standbyHealth(): Promise<any> {
  const answer = await command(at, 'GET', '/api/health').catch(() => undefined);
  return answer?.status === 200 ? answer.json.clusters[0].standby : undefined;
}

async function standbyFollows(): Promise<void> {
  await until(
    'the standby to follow',
    async () => {
      const standby = await standbyHealth();
      return standby?.state === 'following' && standby.lagBytes < 1_000_000;
    },
    120_000,
  );
}

/** The log of the new timeline comes to every region, and none of the old one is missing there. */
async function shippingGoesOn(): Promise<void> {
  await until('the log to be shipped on', async () => {
    const { shipping } = (await command(at, 'GET', '/api/health')).json.clusters[0];
    return (
      shipping.state === 'shipping' && shipping.regions.every((one: { behindBytes: number }) => one.behindBytes === 0)
    );
  });
  const { shipping } = (await command(at, 'GET', '/api/health')).json.clusters[0];
  assert.equal(shipping.gaps ?? 0, 0);
}

/** Who serves people; none of them may be another one after a failover. */
const servingProcesses = () => [...pidsOf(at.dataDir, 'control'), ...pidsOf(at.dataDir, 'gateway')].sort();

function postmasterOf(member: 'main' | 'standby'): number {
  return Number.parseInt(readFileSync(join(at.dataDir, 'pg', member, 'postmaster.pid'), 'utf8'), 10);
}

/** People write while `fault` happens and for a while after it. */
async function underLoad(context: TestContext, fault: () => Promise<void>): Promise<Writers> {
  const writers = startWriters(tenants, { perTenant: 3, pauseMs: 20 });
  context.after(() => writers.stop());
  await until('people to write', async () => writers.acknowledged.size > 30, 180_000);
  await fault();
  const already = writers.acknowledged.size;
  await until('people to write again', async () => writers.acknowledged.size > already + 30, 120_000);
  await writers.stop();
  for (const name of writers.acknowledged) acknowledged.add(name);
  const { checked, lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  const refused = [...writers.refusals].map(([what, times]) => `${what} × ${times}`).join(', ');
  context.diagnostic(`${checked} acknowledged writes checked, 0 lost; not acknowledged: ${refused || 'none'}`);
  return writers;
}

test('status, health and metrics tell how the standby is', async () => {
  const { stdout } = await freehold.run('status', '--json');
  const { standby } = JSON.parse(stdout).clusters[0];
  assert.deepEqual([standby.state, standby.primary], ['following', 'main']);
  assert.ok(Number.isInteger(standby.lagBytes) && Number.isInteger(standby.lagMs));
  assert.match((await freehold.run('status')).stdout, /standby\s+following.* ms behind\s+the primary is main/);
  await until('the metrics to be measured', async () => {
    const text = (await command(at, 'GET', '/metrics')).bytes.toString();
    return (
      /^freehold_standby_lag_bytes\{kind="main"\} \d+$/m.test(text) &&
      /^freehold_standby_lag_milliseconds\{kind="main"\} \d+$/m.test(text) &&
      /^freehold_standby_following\{kind="main"\} 1$/m.test(text)
    );
  });
});

test('a failover needs a yes', async () => {
  const { code, stderr } = await freehold.run('failover');
  assert.equal(code, 2);
  assert.match(stderr, /failover --yes/);
  assert.equal((await standbyHealth()).primary, 'main');
});

for (const to of ['standby', 'main'] as const) {
  test(`planned failover to ${to} under load: nothing acknowledged is lost, nobody is restarted`, async (context) => {
    const serving = servingProcesses();
    const writers = await underLoad(context, async () => {
      const { code, stdout, stderr } = await freehold.run('failover', '--yes', '--json');
      assert.equal(code, 0, stderr);
      const report = JSON.parse(stdout);
      assert.deepEqual([report.to, report.planned, report.lostBytes], [to, true, 0]);
      context.diagnostic(`closed for ${report.closedMs} ms`);
    });
    // The gateways' own words: tried again later, or look whether it was saved. No other error, and no lost connection.
    for (const refusal of writers.refusals.keys())
      assert.match(refusal, /^503 FH_DB_(UNAVAILABLE|OUTCOME_UNKNOWN|EVICTED)$/);
    assert.deepEqual(servingProcesses(), serving);
    await standbyFollows();
    assert.equal((await standbyHealth()).primary, to);
    await shippingGoesOn();
    // The same sessions as at the beginning: nobody signed in again. And control still does its work.
    for (const { client } of tenants) assert.equal((await client.get('/-/api/session')).status, 200);
    const made = await createTenant(at, newName());
    await made.client.close();
  });
}

test('the standby killed under load: nobody notices, and it follows again', async (context) => {
  const writers = await underLoad(context, async () => {
    process.kill(postmasterOf('standby'), 'SIGKILL');
  });
  assert.deepEqual([...writers.refusals], []);
  await standbyFollows();
});

test('the primary killed under load: it recovers, the standby goes on following', async (context) => {
  await underLoad(context, async () => {
    process.kill(postmasterOf('main'), 'SIGKILL');
  });
  await controlIsBack(at);
  await standbyFollows();
  assert.equal((await standbyHealth()).primary, 'main');
});

test('a primary that hangs, replaced by command: what it acknowledged is taken from its folder', async (context) => {
  await underLoad(context, async () => {
    process.kill(postmasterOf('main'), 'SIGSTOP');
    const { code, stdout, stderr } = await freehold.run('failover', '--yes', '--json');
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout);
    assert.deepEqual([report.to, report.planned, report.lostBytes], ['standby', false, 0]);
    context.diagnostic(`closed for ${report.closedMs} ms`);
  });
  await standbyFollows();
});

test('everything killed under load after a failover: the next up knows who the primary is', async (context) => {
  await underLoad(context, async () => {
    for (const { pid } of findProcesses(at.dataDir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        // It ended with another that was killed a moment before.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    freehold = await Freehold.start({
      env,
      dataDir: at.dataDir,
      port: freehold.port,
      consolePort: freehold.consolePort,
    });
  });
  await standbyFollows();
  assert.equal((await standbyHealth()).primary, 'standby');
});

test('a primary that does not start any more is replaced while nothing runs', async () => {
  const before = acknowledged.size;
  await freehold.stop({ keepData: true });
  renameSync(join(at.dataDir, 'pg/standby'), join(at.dataDir, 'pg/lost'));
  const again = () =>
    Freehold.start({ env, dataDir: at.dataDir, port: freehold.port, consolePort: freehold.consolePort });
  await assert.rejects(again(), /FH_CLUSTER_DATA_MISSING/);
  const { code, stderr } = await freehold.run('failover', '--yes');
  assert.equal(code, 0, stderr);
  freehold = await again();
  const { primary, lastFailover } = await standbyHealth();
  assert.equal(primary, 'main');
  // Of a primary that nobody can look into. What was shipped says that nothing is missing which waited for regions.
  assert.deepEqual([lastFailover.lostBytes, lastFailover.shipped.isComplete], [undefined, true]);
  const { checked, lost } = await checkWrites(tenants, acknowledged);
  assert.deepEqual([checked, lost], [before, []]);
  await standbyFollows();
});

test('the primary is lost with its folder while the standby was behind: a tenant with recovery point zero loses nothing', async (context) => {
  const [zero] = tenants as [Tenant];
  const set = await freehold.run('tenant', 'set', zero.name, '--recovery-point', 'zero', '--json');
  assert.equal(set.code, 0, set.stderr);
  const receiver = findProcesses(at.dataDir).find(({ command }) => /walreceiver/.test(command));
  process.kill(receiver!.pid, 'SIGSTOP');
  // More than lies in a socket on the way to it.
  await askAsSuperuser(
    at,
    'CREATE TABLE bulk AS SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 60000) AS n',
  );
  const writers = startWriters([zero], { perTenant: 3, pauseMs: 20 });
  context.after(() => writers.stop());
  await until('people to write', async () => writers.acknowledged.size > 60, 120_000);
  const postmaster = postmasterOf('main');
  renameSync(join(at.dataDir, 'pg/main'), join(at.dataDir, 'pg/gone'));
  process.kill(postmaster, 'SIGKILL');
  process.kill(receiver!.pid, 'SIGCONT');

  const { code, stdout, stderr } = await freehold.run('failover', '--yes', '--json');
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.deepEqual([report.to, report.planned, report.lostBytes], ['standby', false, undefined]);
  assert.equal(report.shipped.isComplete, true, stdout);
  assert.ok(report.shipped.takenBytes > 2 ** 23, stdout);
  context.diagnostic(`${report.shipped.takenBytes} bytes came from what was shipped; closed for ${report.closedMs} ms`);
  await controlIsBack(at);
  const already = writers.acknowledged.size;
  await until('people to write again', async () => writers.acknowledged.size > already + 30, 120_000);
  await writers.stop();
  const { checked, lost, doubled } = await checkWrites([zero], writers.acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  context.diagnostic(`${checked} acknowledged writes checked, 0 lost`);
  await standbyFollows();
  await shippingGoesOn();
  const { json } = await command(at, 'GET', '/api/audit?name=backup.shipping_changed');
  const kinds = json.events.map(({ details }: { details: { kind: string } }) => details.kind);
  assert.deepEqual(
    kinds.filter((kind: string) => /^wal\./.test(kind)),
    [],
  );
});
