import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, waitFor } from '#src/kernel/index.ts';
import { newPassword, openConnection, sqlState } from '#src/postgres/index.ts';
import { findCheckpointer, readCheckpointActivity } from './checkpoint-activity.ts';
import {
  type Cluster,
  type ClusterOptions,
  checkExternalServer,
  createCluster,
  findBinaries,
  findOsUser,
  type OsUser,
  startTool,
} from './index.ts';
import { runAsSuperuser } from './standby/superuser.ts';

let folder: string;
let osUser: OsUser | undefined;
let binaries: Awaited<ReturnType<typeof findBinaries>>;
const port = 5432;
const controlPassword = newPassword();

before(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), 'freehold-clusters-')));
  binaries = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  if (process.getuid?.() === 0) {
    osUser = (await findOsUser('freehold-postgres')) ?? (await findOsUser('postgres')) ?? (await findOsUser('nobody'));
    assert.ok(osUser);
    await chown(folder, osUser.uid, osUser.gid);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

async function prepareCluster(name: string, more: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const home = path.join(folder, name);
  for (const part of ['', 'run', 'logs']) {
    await mkdir(path.join(home, part), { mode: 0o755 });
    if (osUser) await chown(path.join(home, part), osUser.uid, osUser.gid);
  }
  return createCluster({ ...clusterOptions(home), ...more });
}

function clusterOptions(home: string) {
  return {
    dataDir: path.join(home, 'data'),
    socketDir: path.join(home, 'run'),
    logFile: path.join(home, 'logs', 'postgres.log'),
    port,
    osUser,
    maxConnections: 30,
    binaries,
    log: silentLog,
  } satisfies ClusterOptions;
}

test('binaries: the newest is found; a wrong folder is named together with what to install', async () => {
  assert.ok(binaries.major >= 15);
  await assert.rejects(
    findBinaries({ binDir: '/nonexistent' }),
    (error: { code?: string; hint?: string; message: string }) => {
      assert.equal(error.code, 'FH_CLUSTER_NO_BINARIES');
      assert.match(error.message, /\/nonexistent: no postgres/);
      assert.match(error.hint ?? '', /apt-get install postgresql/);
      return true;
    },
  );
});

test('a cluster: from nothing to a server that only control may enter, stopped and started again', async () => {
  const cluster = await prepareCluster('life');
  await cluster.initialise();
  await cluster.start();
  try {
    await cluster.bootstrap({ controlPassword });
    await cluster.bootstrap({ controlPassword });
    assert.equal(cluster.status().state, 'running');
    const target = cluster.controlTarget(controlPassword);
    const control = await openConnection(target, { applicationName: 'test' });
    const show = async (name: string) =>
      (await control.query<{ value: string }>('SELECT current_setting($1) AS value', [name]))[0]!.value;
    assert.equal(await show('listen_addresses'), '');
    assert.equal(await show('data_checksums'), 'on');
    assert.equal(await show('fsync'), 'on');
    assert.equal(await show('log_statement'), 'none');
    assert.equal(await show('password_encryption'), 'scram-sha-256');
    if (process.platform === 'linux') assert.equal(await show('recovery_init_sync_method'), 'syncfs');
    const [role] = await control.query(
      'SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user',
    );
    assert.deepEqual(role, {
      rolsuper: false,
      rolcreatedb: true,
      rolcreaterole: true,
      rolreplication: false,
      rolbypassrls: false,
    });
    const open = await control.query(
      "SELECT datname FROM pg_database WHERE datallowconn AND (has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMP'))",
    );
    assert.deepEqual(open, []);
    const facts = await checkExternalServer(target);
    assert.equal(facts.version, binaries.version);
    assert.deepEqual(facts.warnings, []);
    await control.close();

    const refused = async (change: object) =>
      sqlState(
        await openConnection({ ...target, ...change }, { applicationName: 'test' }).then(
          () => assert.fail('it let us in'),
          (error) => error,
        ),
      );
    assert.equal(await refused({ password: newPassword() }), '28P01');
    assert.equal(await refused({ user: 'postgres' }), '28000');
    assert.equal(await refused({ user: 'nobody_else' }), '28000');

    await cluster.bootstrap({ controlPassword: newPassword() });
    assert.equal(await refused({}), '28P01');
    await cluster.bootstrap({ controlPassword });
  } finally {
    await cluster.stop();
  }
  assert.equal(cluster.status().state, 'stopped');
  await cluster.stop();
  await cluster.start();
  await cluster.bootstrap({ controlPassword });
  await cluster.stop();
  const log = await readFile(cluster.options.logFile, 'utf8');
  assert.doesNotMatch(log, /SCRAM-SHA-256\$/);
  assert.doesNotMatch(log, new RegExp(controlPassword));
});

test('what an external server lacks is said with the statements that mend it', async () => {
  const cluster = await prepareCluster('external');
  await cluster.initialise();
  await cluster.start();
  try {
    await cluster.bootstrap({ controlPassword });
    const control = await openConnection(cluster.controlTarget(controlPassword), { applicationName: 'test' });
    await control.query("CREATE ROLE weak LOGIN PASSWORD 'weak-password'");
    await control.query('CREATE DATABASE weak');
    await control.close();
    const weak = { ...cluster.controlTarget('weak-password'), user: 'weak', database: 'weak' };
    await assert.rejects(checkExternalServer(weak), (error: { code?: string; hint?: string; message: string }) => {
      assert.equal(error.code, 'FH_CLUSTER_SERVER_UNFIT');
      assert.match(error.message, /CREATEDB CREATEROLE for the role; membership in pg_signal_backend/);
      assert.match(
        error.hint ?? '',
        /ALTER ROLE "weak" CREATEDB CREATEROLE; GRANT pg_signal_backend TO "weak"; ALTER DATABASE "weak" OWNER TO "weak"/,
      );
      return true;
    });
  } finally {
    await cluster.stop();
  }
  await assert.rejects(checkExternalServer(cluster.controlTarget(controlPassword)), { code: 'FH_CLUSTER_UNREACHABLE' });
});

test("PostgreSQL's tools get the password by the environment, and a failure carries no secret", async () => {
  const cluster = await prepareCluster('tools');
  await cluster.initialise();
  await cluster.start();
  try {
    await cluster.bootstrap({ controlPassword });
    const target = cluster.controlTarget(controlPassword);
    const dump = await startTool(binaries, 'pg_dump', ['--schema-only'], target);
    let text = '';
    for await (const chunk of dump.stdout) text += chunk;
    await dump.done;
    assert.match(text, /PostgreSQL database dump complete/);
    const failing = await startTool(binaries, 'pg_dump', ['--table=absent'], target);
    failing.stdout.resume();
    await assert.rejects(failing.done, (error: Error & { code?: string }) => {
      assert.equal(error.code, 'FH_CLUSTER_TOOL_FAILED');
      assert.doesNotMatch(JSON.stringify([error.message, String(error.cause)]), new RegExp(controlPassword));
      return true;
    });
  } finally {
    await cluster.stop();
  }
});

/** Initialises in a process of its own, so that it can be killed. */
function initialiseInChild(home: string, failpoints: string): ChildProcess {
  const program = `
    const { armFailpoints, silentLog } = await import('#src/kernel/index.ts');
    const { createCluster } = await import('#src/clusters/index.ts');
    armFailpoints(process.argv[2]);
    const options = { ...JSON.parse(process.argv[1]), log: silentLog };
    await createCluster(options).initialise();`;
  const { log: _, ...options } = clusterOptions(home);
  const args = ['--input-type=module', '--eval', program, JSON.stringify(options), failpoints];
  return spawn(process.execPath, args, { stdio: 'inherit', cwd: path.join(import.meta.dirname, '../..') });
}

test('killed in the middle of initialising, nothing half-made is taken for a data folder', async () => {
  const cluster = await prepareCluster('killed');
  const home = path.dirname(cluster.options.dataDir);
  for (const name of ['folder_made', 'made', 'renamed']) {
    await rm(cluster.options.dataDir, { recursive: true, force: true });
    const child = initialiseInChild(home, `clusters.initialise.${name}=kill`);
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    const whole = (await readdir(home)).includes('data');
    assert.equal(whole, name === 'renamed');
  }
  await rm(cluster.options.dataDir, { recursive: true, force: true });
  // And while initdb itself runs.
  const child = initialiseInChild(home, '');
  await waitFor('initdb to be at work', async () => {
    const temporary = (await readdir(home)).find((entry) => entry.startsWith('data.initialising-'));
    return temporary !== undefined && (await readdir(path.join(home, temporary))).includes('base');
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal((await readdir(home)).includes('data'), false);

  await cluster.initialise();
  assert.deepEqual((await readdir(home)).sort(), ['data', 'logs', 'run']);
  await cluster.start();
  await cluster.stop();
});

test('a folder that holds something else is left alone', async () => {
  const cluster = await prepareCluster('occupied');
  await mkdir(cluster.options.dataDir);
  await writeFile(path.join(cluster.options.dataDir, 'precious.txt'), 'mine');
  await assert.rejects(cluster.initialise(), { code: 'FH_CLUSTER_INITIALISE_FAILED' });
  assert.deepEqual(await readdir(cluster.options.dataDir), ['precious.txt']);
});

test('an orphaned server is stopped before the new one starts', async () => {
  const cluster = await prepareCluster('orphan');
  await cluster.initialise();
  await cluster.start();
  await cluster.bootstrap({ controlPassword });
  await cluster.stop();
  const orphan = spawn(path.join(binaries.binDir, 'postgres'), ['-D', cluster.options.dataDir], {
    cwd: '/',
    stdio: 'ignore',
    ...(osUser && { uid: osUser.uid, gid: osUser.gid }),
  });
  const orphanEnded = once(orphan, 'exit');
  await waitFor('the orphan to accept connections', () =>
    openConnection(cluster.controlTarget(controlPassword), { applicationName: 'test' }).then(
      (connection) => connection.close().then(() => true),
      () => false,
    ),
  );
  await cluster.start();
  const [exitCode] = await orphanEnded;
  assert.equal(exitCode, 0);
  assert.notEqual(cluster.status().processId, orphan.pid);
  await cluster.stop();
});

test('after kill -9 of the server the next start recovers, and busy backends do not hold it up', async () => {
  const cluster = await prepareCluster('crash');
  await cluster.initialise();
  await cluster.start();
  await cluster.bootstrap({ controlPassword });
  const target = cluster.controlTarget(controlPassword);
  const connection = await openConnection(target, { applicationName: 'test' });
  await connection.query('CREATE TABLE kept AS SELECT 1 AS n');
  // A backend that computes does not notice that its postmaster is gone.
  const busy = connection.query('SELECT count(*) FROM generate_series(1, 3000000000)').catch(() => {});
  const exit = new Promise<{ expected: boolean }>((resolve) => cluster.onExit(resolve));
  process.kill(cluster.status().processId!, 'SIGKILL');
  assert.equal((await exit).expected, false);
  await cluster.start();
  await busy;
  const again = await openConnection(target, { applicationName: 'test' });
  assert.deepEqual(await again.query('SELECT n FROM kept'), [{ n: 1 }]);
  await again.close();
  await cluster.stop();
});

test('a killed server that nobody has reaped does not hold up the next one', async () => {
  const cluster = await prepareCluster('zombie');
  await cluster.initialise();
  // The copy has the server's name and ends when its parent has become another `sleep`, which reaps nobody.
  const copy = path.join(cluster.options.socketDir, 'postgres');
  await copyFile('/bin/sleep', copy);
  await chmod(copy, 0o755);
  const parent = spawn('/bin/sh', ['-c', `"${copy}" 0.3 & echo $!; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const [output] = await once(parent.stdout, 'data');
    const processId = Number(String(output));
    await waitFor('the zombie', async () => / Z /.test(await readFile(`/proc/${processId}/stat`, 'utf8')));
    const lines = [processId, cluster.options.dataDir, 1, port, cluster.options.socketDir, '', '', 'ready'].join('\n');
    await writeFile(path.join(cluster.options.dataDir, 'postmaster.pid'), lines);
    await writeFile(path.join(cluster.options.socketDir, `.s.PGSQL.${port}.lock`), lines);
    await cluster.start();
    await cluster.stop();
  } finally {
    parent.kill();
  }
});

test('a foreign process with the recorded process id is left alone', async () => {
  const cluster = await prepareCluster('recycled');
  await cluster.initialise();
  const foreign = spawn('sleep', ['60'], { cwd: cluster.options.dataDir });
  try {
    await once(foreign, 'spawn');
    const lines = [foreign.pid, cluster.options.dataDir, 1, port, cluster.options.socketDir, '', '', 'ready'].join(
      '\n',
    );
    await writeFile(path.join(cluster.options.dataDir, 'postmaster.pid'), lines);
    await writeFile(path.join(cluster.options.socketDir, `.s.PGSQL.${port}.lock`), lines);
    await cluster.start();
    assert.deepEqual([foreign.exitCode, foreign.signalCode], [null, null]);
    await cluster.stop();
  } finally {
    foreign.kill();
  }
});

// Only Linux shows how a checkpoint gets on, and tells a process of its parent's death.
if (process.platform === 'linux') {
  test('a slow last checkpoint is waited for as long as it gets on; one that hangs is ended, and nothing is lost', async (context) => {
    let told = (_text: string): void => {};
    const cluster = await prepareCluster('slow', { onWaiting: (text) => told(text) });
    context.after(() => cluster.stop({ smartMs: 0, fastMs: 10_000 }));
    const begin = async (): Promise<{ postmaster: number; checkpointer: number }> => {
      await cluster.start();
      const postmaster = cluster.status().processId!;
      return { postmaster, checkpointer: await waitFor('the checkpointer', () => findCheckpointer(postmaster)) };
    };
    const ended = () => new Promise<number | null>((resolve) => cluster.onExit(({ exitCode }) => resolve(exitCode)));
    const first = await begin();
    const before = await readCheckpointActivity(first.postmaster);
    await runAsSuperuser(cluster.options, 'CREATE TABLE kept AS SELECT 1 AS n; CHECKPOINT');
    await waitFor('progress', async () => (await readCheckpointActivity(first.postmaster)) !== before);
    process.kill(first.checkpointer, 'SIGSTOP');
    let seen: string | undefined;
    // It shows as stopped before its last switch is counted: so until two looks in a row are the same.
    const standsStill = async () => {
      const last = seen;
      seen = await readCheckpointActivity(first.postmaster);
      return seen === last && / T /.test(await readFile(`/proc/${first.checkpointer}/stat`, 'utf8'));
    };
    await waitFor('it to stand still', standsStill, { everyMs: 100 });
    const waiting = new Promise<string>((resolve) => (told = resolve));
    const clean = ended();
    const stopped = cluster.stop({ smartMs: 0, longestFastMs: 600_000 });
    assert.match(await waiting, /PostgreSQL is writing its last changes to disk \(\d+ s so far, at most 10 minutes\)/);
    process.kill(first.checkpointer, 'SIGCONT');
    await stopped;
    assert.equal(await clean, 0);

    const second = await begin();
    await runAsSuperuser(cluster.options, 'INSERT INTO kept VALUES (2)');
    process.kill(second.checkpointer, 'SIGSTOP');
    await cluster.stop({ smartMs: 0, fastMs: 1_000, longestFastMs: 600_000 });
    assert.equal(cluster.status().state, 'stopped');

    await begin();
    const hard = ended();
    cluster.endAtOnce();
    await hard;
    await cluster.start();
    assert.equal(await runAsSuperuser(cluster.options, 'SELECT sum(n) FROM kept'), '3');
    await cluster.stop();
  });

  // Elsewhere the next start finds the orphan (see above).
  test('when its supervisor is killed, the server shuts down by itself', async () => {
    const cluster = await prepareCluster('parent');
    await cluster.initialise();
    const program = `
    const { silentLog } = await import('#src/kernel/index.ts');
    const { createCluster } = await import('#src/clusters/index.ts');
    const cluster = createCluster({ ...JSON.parse(process.argv[1]), log: silentLog });
    await cluster.start();
    console.log(cluster.status().processId);
    setInterval(() => {}, 1000);`;
    const { log: _, ...options } = clusterOptions(path.dirname(cluster.options.dataDir));
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: path.join(import.meta.dirname, '../..'),
    });
    const [line] = await once(child.stdout!, 'data');
    assert.ok(Number(line) > 1);
    child.kill('SIGKILL');
    await waitFor(
      'the server to end',
      async () => !(await readdir(cluster.options.dataDir)).includes('postmaster.pid'),
    );
  });
}
