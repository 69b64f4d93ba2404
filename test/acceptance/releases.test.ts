/** A version of an app on its way through the rings: real processes, real databases, users who go on using them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, commandPauseMs, Freehold, repository, until } from './harness.ts';

interface View {
  readonly release: {
    readonly state: string;
    readonly ring: string;
    readonly soaksSince?: string;
    readonly reason?: string;
    readonly counts: Record<string, Record<string, number>>;
  };
  readonly tenants: { name: string; state: string; isDataBack?: boolean; error?: { text: string } }[];
}

describe('releases in rings', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-releases-'));
  const clients = new Map<string, Client>();
  const rings = { canary: 'alpha', early: 'beta', acme: 'production', globex: 'production' } as const;
  const names = Object.keys(rings);
  let freehold: Freehold;

  before(async () => {
    freehold = await Freehold.start();
    await add('1.0.0');
    for (const [name, ring] of Object.entries(rings)) {
      await run('tenant', 'create', name, '--app', 'notes', '--admin-email', 'ada@example.com');
      await run('release', 'ring', name, ring);
      clients.set(name, freehold.tenantClient(name));
      await note(name, 'the first');
    }
  });
  after(async () => {
    for (const client of clients.values()) await client.close();
    await freehold?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await freehold.run(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${freehold.readTroubles()}`);
    return stdout;
  }
  async function add(version: string, change: Record<string, unknown> = {}, env: Record<string, string> = {}) {
    const path = join(folder, version);
    cpSync(join(repository, 'test/apps/notes'), path, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(path, 'freehold.app.json'), 'utf8'));
    const changed = { ...manifest, version, ...change, env: { ...manifest.env, ...env } };
    writeFileSync(join(path, 'freehold.app.json'), JSON.stringify(changed, null, 2));
    await run('app', 'add', path);
  }
  const read = (name: string) => clients.get(name)!.get('/');
  async function note(name: string, text: string): Promise<void> {
    const { status, text: answer } = await clients.get(name)!.send('POST', `/?text=${encodeURIComponent(text)}`);
    assert.equal(status, 201, `${answer}${freehold.readTroubles()}`);
  }
  async function notesOf(name: string): Promise<unknown> {
    const { status, text, json } = await read(name);
    assert.equal(status, 200, `${name}: ${text}${freehold.readTroubles()}`);
    return json;
  }
  const versionOf = async (name: string) =>
    JSON.parse(await run('tenant', 'show', name, '--json')).appVersion as string;
  async function status(): Promise<View> {
    const { stdout, stderr } = await freehold.run('release', 'status', 'notes', '--json');
    assert.ok(stdout, stderr);
    return JSON.parse(stdout);
  }
  const reached = (state: string, within = 120_000) =>
    until(
      `the release is ${state}`,
      async () => ((await status()).release.state === state ? status() : undefined),
      within,
      commandPauseMs,
    );
  const watched = () =>
    until('alpha is watched', async () => (await status()).release.soaksSince, 60_000, commandPauseMs);

  it('brings a good version to everybody while they go on; killed on its way, it comes to its end', async () => {
    await add(
      '1.1.0',
      { migrate: ['psql', '-c', 'ALTER TABLE IF EXISTS notes ADD COLUMN IF NOT EXISTS colour text'] },
      {
        PGDATABASE: `\${database.name}`,
        PGHOST: `\${database.host}`,
        PGUSER: `\${database.user}`,
        PGPASSWORD: `\${database.password}`,
      },
    );
    let isOver = false;
    let asked = 0;
    const asking = Promise.all(
      names.map(async (name) => {
        for (; !isOver; asked++) {
          await notesOf(name);
          // Often enough to meet every moment of an update.
          await delay(20);
        }
      }),
    );
    asking.catch(() => undefined);
    await run('release', 'start', 'notes', '1.1.0', '--soak', '0');
    const control = await until('control', async () => {
      const { stdout } = spawnSync('pgrep', ['-f', 'cli.ts run control'], { encoding: 'utf8' });
      return stdout
        .split('\n')
        .map(Number)
        .find((pid) => {
          try {
            return pid > 0 && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(freehold.dataDir);
          } catch {
            return false;
          }
        });
    });
    await until('beta', async () => (await status()).release.ring !== 'alpha', 60_000, commandPauseMs);
    isOver = true;
    await asking;
    process.kill(control, 'SIGKILL');
    const ended = await until(
      'control answers again',
      async () => {
        const { stdout } = await freehold.run('release', 'status', 'notes', '--json');
        return stdout !== '' && (JSON.parse(stdout) as View).release.state === 'done'
          ? (JSON.parse(stdout) as View)
          : undefined;
      },
      120_000,
      commandPauseMs,
    );
    assert.deepEqual(ended.release.counts, { alpha: { done: 1 }, beta: { done: 1 }, production: { done: 2 } });
    for (const name of names) assert.equal(await versionOf(name), '1.1.0');
    assert.ok(asked > names.length);
  });

  it('halts what breaks for users of alpha, who get back the content that they had; nobody else noticed', async () => {
    const before = await notesOf('canary');
    await add('2.0.0', { migrate: 'psql "$DATABASE_URL" -c "DELETE FROM notes"' }, { BREAKS: 'reads' });
    await run('release', 'start', 'notes', '2.0.0', '--soak', '60');
    await watched();
    for (let count = 0; count < 8; count++) assert.equal((await read('canary')).status, 500);
    const { release, tenants } = await reached('returned');
    assert.match(release.reason!, /1 of 1 tenant failed in alpha/);
    assert.deepEqual([release.counts.beta, release.counts.production], [{}, {}]);
    assert.deepEqual([tenants[0]?.name, tenants[0]?.isDataBack], ['canary', true]);
    assert.match(tenants[0]!.error!.text, /of \d+ requests failed/);
    assert.deepEqual(await notesOf('canary'), before);
    for (const name of names) assert.equal(await versionOf(name), '1.1.0');
  });

  it('keeps what users wrote meanwhile: then only the version goes back', async () => {
    await add('2.1.0', {}, { BREAKS: 'reads' });
    await run('release', 'start', 'notes', '2.1.0', '--soak', '60');
    await watched();
    await note('canary', 'written on 2.1.0');
    for (let count = 0; count < 8; count++) assert.equal((await read('canary')).status, 500);
    const { tenants } = await reached('returned');
    assert.equal(tenants[0]?.isDataBack, false);
    assert.match(JSON.stringify(await notesOf('canary')), /written on 2.1.0/);
    assert.equal(await versionOf('canary'), '1.1.0');
    // The table for people says the same.
    const shown = await freehold.run('release', 'status', 'notes');
    assert.equal(shown.code, 1);
    assert.match(
      shown.stdout,
      /notes 2\.1\.0 was taken back: 1 of 1 tenant failed in alpha[\s\S]*canary +alpha +failed +as it is/,
    );
  });

  it('gives new tenants what production runs, not what was added last', async () => {
    await run('tenant', 'create', 'initech', '--app', 'notes', '--admin-email', 'ada@example.com');
    assert.equal(await versionOf('initech'), '1.1.0');
    assert.match(await run('release', 'list'), /2\.1\.0 +returned[\s\S]*1\.1\.0 +done/);
  });
});
