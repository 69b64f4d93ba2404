/** F30 to F36: what lies in regions, the settings of the server, and restores. */
import assert from 'node:assert/strict';
import { readdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { insertDrill } from '#src/backups/index.ts';
import { findBinaries } from '#src/clusters/index.ts';
import { systemClock, waitFor } from '#src/kernel/index.ts';
import { findCheckWarnings } from '#src/main/checks.ts';
import { readRecoveryTime } from '#src/main/recovery-time.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { alarm, type Injection, red, refused } from './injection.ts';
import { waits } from './system.ts';

const dayMs = 86_400_000;

export const restoreInjections: readonly Injection[] = [
  {
    id: 'F30',
    damage: 'the connection is gone in the middle of an upload',
    names: /FH_REGION_UNAVAILABLE|the connection is gone/,
    async inject(system) {
      const { north, acme } = system.world;
      async function* half() {
        yield Buffer.alloc(100_000, 1);
        throw new Error('the connection is gone');
      }
      const name = `data/${acme.tenantId}/half`;
      const { said } = await refused(north.put(name, half()));
      assert.equal(await north.stat(name), undefined);
      assert.ok(await system.restore(acme, (restored) => system.texts(restored)));
      return { answer: 'unharmed', said };
    },
  },
  {
    id: 'F31',
    damage: 'fsync and full_page_writes are turned off on the running server',
    names: /FH_VERIFY_UNSAFE_SETTING .*fsync = off[\s\S]*full_page_writes = off/,
    async inject(system) {
      const names = ['fsync', 'full_page_writes'];
      /** Every session reads the file when it comes to it. */
      const until = (count: number) =>
        waitFor('the setting', async () => (await system.takeLedger()).unsafeSettings?.length === count, waits);
      const alter = (change: (name: string) => string) =>
        system.asSuperuser(
          'postgres',
          ...names.map((name) => `ALTER SYSTEM ${change(name)}`),
          'SELECT pg_reload_conf()',
        );
      alter((name) => `SET ${name} = off`);
      await until(names.length);
      const observed = red(await system.verify(system.world.north));
      alter((name) => `RESET ${name}`);
      await until(0);
      await system.takeBackup();
      await system.takeLedger();
      return observed;
    },
  },
  {
    id: 'F32',
    damage: 'a database is made by copying the files of acme, and restored without them',
    names: /FH_RESTORE_DATABASE_INCOMPLETE/,
    async inject(system) {
      const { world } = system;
      await world.control.query(`CREATE DATABASE t_clone TEMPLATE ${world.globex.database} STRATEGY file_copy`);
      const [clone] = await world.control.query<{ oid: number }>(
        "SELECT oid FROM pg_database WHERE datname = 't_clone'",
      );
      await system.takeLedger();
      const observed = await refused(system.restore(clone!, async () => {}));
      await world.control.query('DROP DATABASE t_clone');
      await system.takeLedger();
      return observed;
    },
  },
  {
    id: 'F33',
    damage: 'acme is renamed after the backup, and another database has its name',
    names: /t_renamed/,
    async inject(system) {
      const { world } = system;
      const { acme, globex } = world;
      await world.control.query(`ALTER DATABASE ${acme.database} RENAME TO t_renamed`);
      await world.control.query(`ALTER DATABASE ${globex.database} RENAME TO ${acme.database}`);
      await world.sql('t_renamed', "INSERT INTO app.items VALUES (0, 'of acme')");
      const renamed = [
        { ...acme, database: 't_renamed' },
        { ...globex, database: acme.database },
      ] as const;
      await system.takeLedger(renamed);
      const [name, texts] = await system.restore(acme, async (restored) => [
        restored.name,
        await system.texts(restored),
      ]);
      assert.equal(texts[0], 'of acme');
      await world.control.query(`ALTER DATABASE ${acme.database} RENAME TO ${globex.database}`);
      await world.control.query(`ALTER DATABASE t_renamed RENAME TO ${acme.database}`);
      await system.takeLedger();
      return { answer: 'unharmed', said: `${name} was restored` };
    },
  },
  {
    id: 'F34',
    damage: 'rows of globex are in the WAL that the restore of acme replays',
    names: /no object of globex was read, and nothing stayed/,
    async inject(system) {
      const { world } = system;
      const { acme, globex, north } = world;
      await world.sql(globex.database, "INSERT INTO app.items VALUES (0, 'of globex alone')");
      await system.takeLedger();
      const read: string[] = [];
      const region: RegionStore = {
        ...north,
        async get(name, options) {
          read.push(name);
          return north.get(name, options);
        },
      };
      const texts = await system.restore(acme, (restored) => system.texts(restored), { region });
      assert.ok(read.some((name) => name.includes(acme.tenantId)));
      assert.deepEqual(
        read.filter((name) => name.includes(globex.tenantId)),
        [],
      );
      assert.ok(!texts.includes('of globex alone'));
      assert.deepEqual(await readdir(system.scratchParent), []);
      return { answer: 'unharmed', said: 'no object of globex was read, and nothing stayed' };
    },
  },
  {
    id: 'F35',
    damage: 'the programs are of another version; initdb is missing; pg_amcheck is missing',
    names: /FH_RECOVERY_UNFIT.*the programs are of/,
    async inject(system) {
      const { acme, north, own } = system.world;
      const { binaries } = own.cluster.options;
      const binDir = await system.world.newFolder();
      for (const name of await readdir(binaries.binDir))
        if (name !== 'pg_amcheck' && name !== 'initdb')
          await symlink(path.join(binaries.binDir, name), path.join(binDir, name));
      const missing = await refused(findBinaries({ binDir }));
      assert.match(missing.said, /FH_CLUSTER_NO_BINARIES.*no initdb/);
      const unchecked = red(await system.verify(north, { binaries: { ...binaries, binDir } }));
      assert.match(unchecked.said, /FH_VERIFY_TOOL_MISSING.*pg_amcheck/);
      const other = { ...binaries, major: binaries.major + 1 };
      return refused(system.restore(acme, async () => {}, { binaries: other }));
    },
  },
  {
    id: 'F36',
    damage: 'each drill takes longer than the one before, the last one longer than was promised',
    names: /region north took 250 minutes .*the limit is 240 minutes/,
    async inject({ db }) {
      const minuteMs = 60_000;
      const limitMs = 240 * minuteMs;
      const day = (index: number) => new Date(systemClock.now() - (5 - index) * 14 * dayMs);
      for (let index = 0; index < 6; index++) {
        const [startedAt, finishedAt] = [day(index), day(index)];
        const recoveryTimeMs = (200 + index * 10) * minuteMs;
        const region = 'north';
        await insertDrill(db, {
          cluster: 'main',
          region,
          startedAt,
          finishedAt,
          passed: true,
          recoveryTimeMs,
          findings: [],
          checked: {},
        });
      }
      const recoveryTime = await readRecoveryTime(db, 'north', limitMs);
      const regions = [{ region: 'north', ...(recoveryTime && { recoveryTime }) }];
      const [warning] = findCheckWarnings(
        { checks: { regions, unverifiedTenants: 0, privateServers: [] } },
        systemClock.now(),
      );
      return alarm(warning?.text);
    },
  },
];
