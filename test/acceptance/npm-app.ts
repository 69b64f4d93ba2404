/** The life of three tenants of an app from npm, which nobody here wrote, unchanged: used through its own API, asleep and awake, copied, restored, moved and deleted; the others stay online. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, commandPauseMs, Freehold, repository, until } from './harness.ts';

const three = ['northwind', 'contoso', 'fabrikam'];

export interface NpmApp {
  readonly title: string;
  /** Below test/apps. */
  readonly folder: string;
  /** In its manifest. */
  readonly name: string;
  readonly healthPath: string;
  /** Two tenants, without sleep, backup and restore. */
  readonly isShort?: boolean;
  /** Before the first use: what a person does who has got the app. */
  readonly setUp: (tenant: Use) => Promise<void>;
  readonly write: (tenant: Use, value: number) => Promise<void>;
  /** All that was written, in ascending order. */
  readonly read: (tenant: Use) => Promise<number[]>;
  /** Whether it lets somebody in who has the passwords of that tenant's people. */
  readonly letsIn: (tenant: Use, peopleOf: string) => Promise<boolean>;
}

/** A tenant, as a program of its people uses it. */
export interface Use {
  readonly name: string;
  readonly client: Client;
  /** Whose people use it: a copy knows those of its source. */
  readonly peopleOf: string;
  readonly troubles: () => string;
}

export function describeNpmApp(app: NpmApp): void {
  describe(app.title, { timeout: 1_200_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'fh-npm-app-'));
    const tenants = app.isShort ? three.slice(0, 2) : three;
    const bystander = tenants.at(-1)!;
    const clients = new Map<string, Client>();
    let freehold: Freehold;

    before(async () => {
      freehold = await Freehold.start();
      const added = await freehold.run('app', 'add', variant());
      assert.equal(added.code, 0, added.stderr);
      await Promise.all(
        tenants.map(async (name) => {
          const made = await freehold.run(
            ...['tenant', 'create', name, '--app', app.name, '--admin-email', 'ada@example.com'],
          );
          assert.equal(made.code, 0, `${made.stderr}${freehold.readTroubles()}`);
        }),
      );
    });
    after(async () => {
      for (const client of clients.values()) await client.close();
      await freehold?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    /** As it is in the repository, but asleep after seconds. */
    function variant(): string {
      cpSync(join(repository, 'test/apps', app.folder), folder, {
        recursive: true,
        filter: (source) => !source.endsWith('node_modules'),
      });
      const path = join(folder, 'freehold.app.json');
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), idleMinutes: 0.1 }));
      return folder;
    }

    function clientOf(name: string): Client {
      const client = clients.get(name) ?? freehold.tenantClient(name);
      clients.set(name, client);
      return client;
    }
    const use = (name: string, peopleOf = name): Use => ({
      name,
      client: clientOf(name),
      peopleOf,
      troubles: () => freehold.readTroubles(),
    });

    it('keeps what its tenants have apart, though it has the same names', async () => {
      for (const [index, name] of tenants.entries()) {
        await app.setUp(use(name));
        await app.write(use(name), index + 1);
      }
      for (const [index, name] of tenants.entries()) {
        assert.deepEqual(await app.read(use(name)), [index + 1]);
        assert.equal(await app.letsIn(use(name), name), true);
        assert.equal(await app.letsIn(use(name), tenants[(index + 1) % tenants.length]!), false);
      }
    });

    if (!app.isShort)
      it('sleeps and wakes with what it had', async () => {
        const isAsleep = async () => {
          const { stdout } = await freehold.run('app', 'status', '--json');
          const apps = JSON.parse(stdout) as { name: string; state: string }[];
          return apps.find(({ name }) => name === 'contoso')?.state === 'asleep';
        };
        await until('it sleeps', isAsleep, 120_000, commandPauseMs);
        assert.deepEqual(await app.read(use('contoso')), [2]);
      });

    it(`is copied${app.isShort ? '' : ' and restored to an earlier moment'}, while the others are used`, async () => {
      let isOver = false;
      const failures: number[] = [];
      const others = (async () => {
        while (!isOver) {
          const { status } = await clientOf(bystander).get(app.healthPath);
          if (status !== 200) failures.push(status);
          // Used, and not measured.
          await delay(20);
        }
      })();
      try {
        const backup = app.isShort ? undefined : await freehold.run('backup', 'run');
        assert.ok(!backup || backup.code === 0, backup?.stderr ?? '');
        const cloned = await freehold.run('tenant', 'clone', 'northwind', 'northwind-copy');
        assert.equal(cloned.code, 0, cloned.stderr);
        const before = new Date(Date.now() + 1_000).toISOString();
        await until('a second passes', async () => new Date().toISOString() > before);
        await app.write(use('northwind'), 666);
        if (!app.isShort) {
          const restored = await freehold.run('restore', 'northwind', '--to', before, '--as', 'northwind-before');
          assert.equal(restored.code, 0, `${restored.stderr}${freehold.readTroubles()}`);
        }
      } finally {
        isOver = true;
        await others;
      }
      assert.deepEqual(failures, []);
      assert.deepEqual(await app.read(use('northwind')), [1, 666]);
      assert.deepEqual(await app.read(use('northwind-copy', 'northwind')), [1]);
      if (!app.isShort) assert.deepEqual(await app.read(use('northwind-before', 'northwind')), [1]);
      assert.deepEqual(await app.read(use(bystander)), [tenants.length]);
    });

    if (!app.isShort)
      it('moves to a PostgreSQL server of its own and back while it is used', async () => {
        const written = await app.read(use('contoso'));
        for (const [index, where] of [['--to', 'private-cloud'], ['--undo']].entries()) {
          let isOver = false;
          const writing = (async () => {
            for (let value = 1_000 * (index + 1); !isOver; value++) {
              await app.write(use('contoso'), value);
              written.push(value);
            }
          })();
          writing.catch(() => undefined);
          const moved = await freehold.run('tenant', 'move', 'contoso', ...where);
          isOver = true;
          await writing;
          assert.equal(moved.code, 0, `${moved.stderr}${freehold.readTroubles()}`);
          assert.deepEqual(await app.read(use('contoso')), written);
        }
        const confirmed = await freehold.run('tenant', 'move', 'contoso', '--confirm');
        assert.equal(confirmed.code, 0, confirmed.stderr);
        assert.deepEqual(await app.read(use(bystander)), [tenants.length]);
      });

    it('is gone when its tenant is deleted', async () => {
      const deleted = await freehold.run('tenant', 'delete', 'northwind-copy', '--confirm', 'northwind-copy');
      assert.equal(deleted.code, 0, deleted.stderr);
      assert.equal((await clientOf('northwind-copy').get(app.healthPath)).status, 410);
      assert.equal((await app.read(use('contoso')))[0], 2);
    });
  });
}
