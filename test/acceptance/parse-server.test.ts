/** Parse Server from npm, which nobody here wrote, unchanged: three tenants, used through its own API, asleep and awake, copied, restored and deleted; the others stay online. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Client, Freehold, repository, until } from './harness.ts';

describe('Parse Server', { timeout: 1_200_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-parse-'));
  const tenants = ['northwind', 'contoso', 'fabrikam'];
  const clients = new Map<string, Client>();
  let freehold: Freehold;

  before(async () => {
    freehold = await Freehold.start();
    const added = await freehold.run('app', 'add', variant());
    assert.equal(added.code, 0, added.stderr);
    for (const name of tenants) {
      const made = await freehold.run('tenant', 'create', name, '--app', 'parse', '--admin-email', 'ada@example.com');
      assert.equal(made.code, 0, `${made.stderr}${freehold.readTroubles()}`);
    }
  });
  after(async () => {
    for (const client of clients.values()) await client.close();
    await freehold?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As it is in the repository, but asleep after seconds. */
  function variant(): string {
    cpSync(join(repository, 'test/apps/parse-server'), folder, { recursive: true });
    const path = join(folder, 'freehold.app.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), idleMinutes: 0.1 }));
    return folder;
  }

  async function parse(name: string, method: string, path: string, body?: object, as = name) {
    const client = clients.get(name) ?? freehold.tenantClient(name);
    clients.set(name, client);
    return client.send(method, `/parse${path}`, body, { 'x-parse-application-id': as });
  }

  async function scoresOf(name: string, as = name): Promise<number[]> {
    const { json, text } = await parse(name, 'GET', '/classes/Score?order=points', undefined, as);
    assert.ok(Array.isArray(json?.results), text);
    return json.results.map(({ points }: { points: number }) => points);
  }

  async function add(name: string, points: number): Promise<void> {
    const { status, text } = await parse(name, 'POST', '/classes/Score', { points, player: 'ada' });
    assert.equal(status, 201, `${text}${freehold.readTroubles()}`);
  }

  it('keeps the users and objects of three tenants apart, though they have the same names', async () => {
    for (const [index, name] of tenants.entries()) {
      const signedUp = await parse(name, 'POST', '/users', { username: 'ada', password: `quiet trams of ${name}` });
      assert.equal(signedUp.status, 201, signedUp.text);
      await add(name, index + 1);
    }
    for (const [index, name] of tenants.entries()) {
      assert.deepEqual(await scoresOf(name), [index + 1]);
      const login = (who: string) =>
        parse(name, 'GET', `/login?username=ada&password=${encodeURIComponent(`quiet trams of ${who}`)}`);
      assert.equal((await login(name)).status, 200);
      assert.notEqual((await login(tenants[(index + 1) % 3]!)).status, 200);
    }
    // Another tenant's application id opens nothing here.
    assert.equal((await parse('northwind', 'GET', '/classes/Score', undefined, 'contoso')).status, 403);
  });

  it('sleeps and wakes with what it had', async () => {
    const isAsleep = async () => {
      const { stdout } = await freehold.run('app', 'status', '--json');
      return (
        (JSON.parse(stdout) as { name: string; state: string }[]).find(({ name }) => name === 'contoso')?.state ===
        'asleep'
      );
    };
    await until('it sleeps', isAsleep, 120_000);
    assert.deepEqual(await scoresOf('contoso'), [2]);
  });

  it('is copied and restored to an earlier moment, while the others are used', async () => {
    let isOver = false;
    const failures: number[] = [];
    const others = (async () => {
      while (!isOver) {
        const { status } = await parse('fabrikam', 'GET', '/health');
        if (status !== 200) failures.push(status);
      }
    })();
    try {
      const backup = await freehold.run('backup', 'run');
      assert.equal(backup.code, 0, backup.stderr);
      const cloned = await freehold.run('tenant', 'clone', 'northwind', 'northwind-copy');
      assert.equal(cloned.code, 0, cloned.stderr);
      const before = new Date(Date.now() + 1_000).toISOString();
      await until('a second passes', async () => new Date().toISOString() > before);
      await add('northwind', 666);
      const restored = await freehold.run('restore', 'northwind', '--to', before, '--as', 'northwind-before');
      assert.equal(restored.code, 0, `${restored.stderr}${freehold.readTroubles()}`);
    } finally {
      isOver = true;
      await others;
    }
    assert.deepEqual(failures, []);
    assert.deepEqual(await scoresOf('northwind'), [1, 666]);
    // Its application id is the name of the tenant, by the manifest.
    assert.deepEqual(await scoresOf('northwind-copy'), [1]);
    assert.deepEqual(await scoresOf('northwind-before'), [1]);
    assert.deepEqual(await scoresOf('fabrikam'), [3]);
  });

  it('is gone when its tenant is deleted', async () => {
    const deleted = await freehold.run('tenant', 'delete', 'northwind-copy', '--confirm', 'northwind-copy');
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.equal((await parse('northwind-copy', 'GET', '/health')).status, 410);
    assert.deepEqual(await scoresOf('contoso'), [2]);
  });
});
