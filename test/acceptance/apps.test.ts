/** Apps that nobody here wrote: brought in, run as processes, carried through the life of their tenants; others stay online and untouched. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, commandPauseMs, Freehold, repository, runLauncher, until } from './harness.ts';
import { listProcesses } from './processes.ts';

describe('apps as processes', { timeout: 1_200_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-apps-'));
  const clients = new Map<string, Client>();
  let freehold: Freehold;

  before(async () => {
    freehold = await Freehold.start();
    await addNotes('1.0.0');
    for (const name of ['acme', 'globex']) await create(name);
  });
  after(async () => {
    for (const client of clients.values()) await client.close();
    await freehold?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The app with its manifest changed, as a folder. */
  function variant(name: string, change: Record<string, unknown>): string {
    const path = join(folder, name);
    cpSync(join(repository, 'test/apps/notes'), path, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(path, 'freehold.app.json'), 'utf8'));
    writeFileSync(join(path, 'freehold.app.json'), JSON.stringify({ ...manifest, ...change }, null, 2));
    return path;
  }

  async function addNotes(version: string, change: Record<string, unknown> = {}): Promise<void> {
    const added = await freehold.run('app', 'add', variant(`notes-${version}`, { version, ...change }));
    assert.equal(added.code, 0, added.stderr);
  }

  async function create(name: string, app = 'notes') {
    const made = await freehold.run(
      'tenant',
      'create',
      name,
      '--app',
      app,
      '--admin-email',
      'ada@example.com',
      '--json',
    );
    assert.equal(made.code, 0, `${made.stderr}${freehold.readTroubles()}`);
  }

  function clientOf(name: string): Client {
    const client = clients.get(name) ?? freehold.tenantClient(name);
    clients.set(name, client);
    return client;
  }

  async function note(name: string, text: string): Promise<void> {
    const { status, text: answer } = await clientOf(name).send('POST', `/?text=${encodeURIComponent(text)}`);
    assert.equal(status, 201, `${answer}${freehold.readTroubles()}`);
  }
  async function notesOf(name: string): Promise<{ notes: string[]; diary: string }> {
    const { status, text, json } = await clientOf(name).get('/');
    assert.equal(status, 200, `${name}: ${text}${freehold.readTroubles()}`);
    return json;
  }

  it('says where a manifest is wrong, and takes nothing in', async () => {
    const wrong = variant('wrong', { helth: { path: '/' }, limits: { memoryMb: 1 } });
    const checked = await runLauncher(['app', 'check', wrong]);
    assert.notEqual(checked.code, 0);
    assert.match(checked.stderr, /freehold\.app\.json:\d+:\d+: .*helth/);
    assert.match(checked.stderr, /memoryMb/);
    assert.notEqual((await freehold.run('app', 'add', wrong)).code, 0);
  });

  it('gives each tenant a process, a database and a folder of its own', async () => {
    await note('acme', 'the first of acme');
    await note('globex', 'the first of globex');
    assert.deepEqual(await notesOf('acme'), { notes: ['the first of acme'], diary: 'the first of acme\n' });
    assert.deepEqual(await notesOf('globex'), { notes: ['the first of globex'], diary: 'the first of globex\n' });
    // Of this installation: other suites run the same app at the same time.
    const users = listProcesses(freehold)
      .filter(({ args }) => /node server\.mjs$/.test(args))
      .map(({ user }) => user);
    assert.equal(new Set(users).size, 2, users.join());
  });

  it('refuses a tenant whose app does not run, with the last words of the app; nothing stays', async () => {
    const broken = variant('broken', {
      name: 'broken',
      start: ['node', '-e', 'console.error("DATABASE_HOST is missing"); process.exit(7)'],
    });
    assert.equal((await freehold.run('app', 'add', broken)).code, 0);
    const made = await freehold.run('tenant', 'create', 'initech', '--app', 'broken', '--admin-email', 'a@example.com');
    assert.equal(made.code, 1);
    assert.match(made.stderr, /exit code 7 before it was healthy/);
    assert.match(made.stderr, /DATABASE_HOST is missing/);
    assert.doesNotMatch((await freehold.run('tenant', 'list')).stdout, /initech/);
    const unhealthy = variant('ill', {
      name: 'ill',
      health: { path: '/nothing-here', startSeconds: 2 },
      start: ['node', '-e', 'require("http").createServer((q,s)=>s.writeHead(503).end()).listen(process.env.PORT)'],
    });
    assert.equal((await freehold.run('app', 'add', unhealthy)).code, 0);
    const ill = await freehold.run('tenant', 'create', 'initech', '--app', 'ill', '--admin-email', 'a@example.com');
    assert.match(ill.stderr, /not healthy after 2 s: \/nothing-here answers 503/);
  });

  it('carries rows and folder through suspension, copy and another name', async () => {
    await note('acme', 'before the copy');
    assert.equal((await freehold.run('tenant', 'suspend', 'acme')).code, 0);
    assert.equal((await clientOf('acme').get('/')).status, 503);
    assert.equal((await freehold.run('tenant', 'resume', 'acme')).code, 0);
    const cloned = await freehold.run('tenant', 'clone', 'acme', 'acme-copy');
    assert.equal(cloned.code, 0, cloned.stderr);
    const expected = { notes: ['the first of acme', 'before the copy'], diary: 'the first of acme\nbefore the copy\n' };
    assert.deepEqual(await notesOf('acme-copy'), expected);
    await note('acme-copy', 'only here');
    assert.deepEqual(await notesOf('acme'), expected);
    assert.equal((await freehold.run('tenant', 'rename', 'acme-copy', 'umbrella')).code, 0);
    assert.equal((await notesOf('umbrella')).notes.at(-1), 'only here');
  });

  it('moves by an archive', async () => {
    const archive = join(folder, 'acme.tar');
    const exported = await freehold.run('tenant', 'export', 'acme', '--to', archive);
    assert.equal(exported.code, 0, `${exported.stderr}${freehold.readTroubles()}`);
    const imported = await freehold.run('tenant', 'import', archive, '--name', 'moved');
    assert.equal(imported.code, 0, `${imported.stderr}${freehold.readTroubles()}`);
    assert.deepEqual(await notesOf('moved'), await notesOf('acme'));
  });

  it('sleeps when nobody asks and wakes on request: of many requests over many sleeps none is lost', async () => {
    await addNotes('1.1.0', { idleMinutes: 0.02 });
    await create('sleepy');
    await note('sleepy', 'zzz');
    const asleep = () =>
      until('the app sleeps', async () => (await statusOf('sleepy')) === 'asleep', 60_000, commandPauseMs);
    for (let round = 0; round < 3; round++) {
      await asleep();
      // What no user sends wakes nobody.
      const probe = await clientOf('sleepy').get('/healthz', { 'user-agent': 'kube-probe/1.30' });
      assert.equal(probe.status, 200);
      assert.equal(await statusOf('sleepy'), 'asleep');
      const answers = await Promise.all(Array.from({ length: 20 }, () => clientOf('sleepy').get('/')));
      for (const { status, text } of answers) assert.equal(status, 200, `${text}${freehold.readTroubles()}`);
    }
    // Requests all the time, about as far apart as it takes to fall asleep.
    for (let count = 0; count < 20; count++) {
      assert.equal((await clientOf('sleepy').get('/')).status, 200);
      await delay(1_100 + 20 * count);
    }
  });

  async function statusOf(name: string): Promise<string | undefined> {
    const { stdout } = await freehold.run('app', 'status', '--json');
    return (JSON.parse(stdout) as { name: string; state: string }[]).find((app) => app.name === name)?.state;
  }

  it('runs another version, and an older one again, without losing a request', async () => {
    let isOver = false;
    const ask = async () => {
      let count = 0;
      for (; !isOver; count++) {
        await notesOf('globex');
        await delay(20);
      }
      return count;
    };
    const asking = Promise.all(Array.from({ length: 4 }, ask));
    asking.catch(() => undefined);
    for (const version of ['1.1.0', '1.0.0']) {
      const used = await freehold.run('app', 'use', 'globex', version);
      assert.equal(used.code, 0, used.stderr);
    }
    isOver = true;
    assert.ok((await asking).every((count) => count > 2));
  });

  it('goes back to the version and the content that it had, when another version does not start', async () => {
    const before = await notesOf('globex');
    const damage = `psql "$DATABASE_URL" -c "DELETE FROM notes" -c "ALTER TABLE notes ADD COLUMN more int" && rm -f "$DATA/diary.txt"`;
    await addNotes('2.0.0-ill', {
      migrate: damage,
      start: ['node', '-e', 'console.error("no such column"); process.exit(3)'],
    });
    await addNotes('2.0.0-bad', { migrate: `${damage} && echo half way >&2 && exit 4` });
    for (const [version, why] of [
      ['2.0.0-ill', /exit code 3 before it was healthy[\s\S]*no such column/],
      ['2.0.0-bad', /migrate: it ended with exit code 4[\s\S]*half way/],
    ] as const) {
      const used = await freehold.run('app', 'use', 'globex', version);
      assert.equal(used.code, 1);
      assert.match(used.stderr, why);
      assert.deepEqual(await notesOf('globex'), before);
    }
    const { stdout } = await freehold.run('tenant', 'show', 'globex', '--json');
    assert.equal(JSON.parse(stdout).appVersion, '1.0.0');
    await note('globex', 'and goes on');
  });

  it('comes back after a crash, and its log says what it said', async () => {
    await assert.rejects(
      clientOf('globex')
        .get('/crash')
        .then((answer) => assert.equal(answer.status, 200)),
    );
    // What comes before anybody has noticed meets nobody.
    await until('the app answers again', async () => (await clientOf('globex').get('/')).status === 200);
    assert.equal((await notesOf('globex')).notes[0], 'the first of globex');
    const { stdout } = await freehold.run('app', 'logs', 'globex');
    assert.match(stdout, /the app is gone: it ended with exit code 1/);
  });

  it('is not there any more when its tenant is deleted', async () => {
    const deleted = await freehold.run('tenant', 'delete', 'umbrella', '--confirm', 'umbrella');
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.equal((await clientOf('umbrella').get('/')).status, 410);
    assert.equal((await notesOf('acme')).notes[0], 'the first of acme');
  });

  it('survives the death of its keeper, and of everything', async () => {
    const keeper = () => {
      // With an exit code where there is none, as just after its death.
      const { stdout } = spawnSync('pgrep', ['-f', 'cli.ts run apps'], { encoding: 'utf8' });
      return stdout.split('\n').map(Number).find(isOurs);
    };
    const isOurs = (pid: number) => {
      try {
        return pid > 0 && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(freehold.dataDir);
      } catch {
        return false;
      }
    };
    const pid = await until('the keeper', async () => keeper());
    process.kill(pid, 'SIGKILL');
    await until('another keeper', async () => keeper() !== undefined && keeper() !== pid, 60_000);
    const answered = async () => (await clientOf('acme').get('/')).json?.notes?.[0] === 'the first of acme';
    await until('the app answers again', answered, 60_000);
  });
});
