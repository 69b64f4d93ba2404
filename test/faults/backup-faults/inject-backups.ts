/** F16 to F29 but F28: retention, keys, regions, base backups, dumps. */
import assert from 'node:assert/strict';
import { chown, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { dumpOptions } from '#src/backups/dumps/content.fixture.ts';
import {
  createRetentionHolds,
  damagedOf,
  dumpTenant,
  restoreFiles,
  runBaseBackup,
  runRetention,
  type VerifyBackupOptions,
} from '#src/backups/index.ts';
import { createScratchFolder, startRecovery } from '#src/clusters/index.ts';
import { armFailpoints, parseLsn, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import { createJobs } from '#src/main/jobs.ts';
import { Shutdown } from '#src/main/shutdown.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { alarm, type Injection, red, refused, unharmed } from './injection.ts';
import { waits } from './system.ts';

const dayMs = 86_400_000;

export const backupInjections: readonly Injection[] = [
  {
    id: 'F16',
    damage: 'the clock leaps 400 days ahead, and retention runs in both regions',
    names: /removed/,
    async inject(system) {
      const { world, db } = system;
      const { clusterId, keys, north, south } = world;
      const clock = { ...systemClock, now: () => systemClock.now() + 400 * dayMs };
      let removed = 0;
      for (const region of [north, south]) {
        await db.query('INSERT INTO regions (region, set_up_at) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
          region.region,
          new Date(8e14),
        ]);
        const { removedObjects } = await runRetention({
          region,
          policy: { days: 180, fullEveryDays: 7 },
          db,
          keys: { openKey: keys.openKey, destroyedOwners: async () => [] },
          holds: createRetentionHolds(),
          clusterId,
          readOwed: () => new Map(),
          findUnneededFiles: async () => [],
          clock,
        });
        removed += removedObjects;
      }
      return unharmed(system, `${removed} objects were removed`);
    },
  },
  {
    id: 'F17',
    damage: 'the key of acme is lost in the region; then the region holds another one under its name',
    names: /acme.*data\/ten_/,
    async inject(system) {
      const { acme, keys, south } = system.world;
      const isOfAcme = (keyId: string) => keyId.startsWith(acme.tenantId);
      const withoutKey: VerifyBackupOptions['keys']['openKey'] = async (keyId) => {
        if (isOfAcme(keyId)) throw keyErrors.FH_KEY_NOT_IN_REGION({ detail: `south: keys/${acme.tenantId}/1` });
        return keys.openKey(keyId);
      };
      const lost = await refused(system.restore(acme, async () => {}, { keys: { openKey: withoutKey } }));
      assert.match(lost.said, /FH_KEY_NOT_IN_REGION.* keys\/ten_/);
      const openKey: typeof withoutKey = async (keyId) => {
        const key = await keys.openKey(keyId);
        return isOfAcme(keyId) ? { ...key, key: Buffer.alloc(32) } : key;
      };
      return red(await system.verify(south, { keys: { openKey } }));
    },
  },
  {
    id: 'F18',
    damage:
      'south has stood still since the base backup; then it has the manifest without the object of acme; north cannot be reached',
    names: /FH_BACKUP_OBJECT_MISSING acme .*south/,
    async inject(system) {
      const { south, north, acme } = system.world;
      const look = async () => red(await system.verify(south, { shippingDeadlineMs: 500 }));
      return system.withoutShipper(() =>
        system.away(north, async () => {
          const newer = await system.walIn(south, parseLsn(system.manifest.stopLsn), 2n ** 62n);
          const stale = await system.damaged(south, newer, () => undefined, look);
          assert.match(stale.said, /FH_BACKUP_NOT_RESTORABLE.*south/);
          return system.damaged(south, [system.objectOf(acme)], () => undefined, look);
        }),
      );
    },
  },
  {
    id: 'F19',
    damage: 'a page of a tenant on the disk of the server fails its checksum',
    names: /ten_.* base\/\d+\/\d+/,
    async inject(system) {
      const { world } = system;
      const victim = await world.createTenant();
      const [found] = await world.sql(victim.database, "SELECT pg_relation_filepath('app.items') AS file");
      // So that no buffer writes over what we do to it, not even a hint that a later reader would leave in it.
      await world.sql(victim.database, 'ALTER TABLE app.items SET (autovacuum_enabled = off)', 'VACUUM app.items');
      system.asSuperuser('postgres', 'CHECKPOINT');
      const handle = await open(path.join(world.own.cluster.options.dataDir, String(found!.file)), 'r+');
      await handle.write('not what was written', 4_000).finally(() => handle.close());
      const { manifest } = await runBaseBackup(await world.options([world.north, world.south]));
      assert.equal(manifest.suspect, true);
      await world.control.query(`DROP DATABASE ${victim.database}`);
      await system.forget(manifest);
      const said = damagedOf(manifest).map(({ tenantId, files }) => `${tenantId} ${files.join(' ')}`);
      return alarm(said.join('; '));
    },
  },
  {
    id: 'F20',
    damage: 'an index of acme lacks a row, with every checksum right',
    names: /FH_VERIFY_STRUCTURE_DAMAGED acme .*by_text/,
    async inject(system) {
      const { acme, north } = system.world;
      const isMaintained = (value: boolean) =>
        system.asSuperuser(
          acme.database,
          `UPDATE pg_index SET indisready = ${value}, indislive = ${value} WHERE indexrelid = 'app.by_text'::regclass`,
        );
      await system.world.sql(acme.database, 'CREATE INDEX by_text ON app.items (text)');
      isMaintained(false);
      await system.world.sql(acme.database, "INSERT INTO app.items VALUES (9001, 'in no index')");
      isMaintained(true);
      await system.takeLedger();
      const observed = red(await system.verify(north));
      await system.world.sql(acme.database, 'DROP INDEX app.by_text');
      await system.takeLedger();
      return observed;
    },
  },
  {
    id: 'F21',
    damage: 'a collation that an index of globex uses has another version here',
    names: /FH_VERIFY_COLLATION globex .*german.*version 1/,
    async inject(system) {
      const { globex, south } = system.world;
      await system.world.sql(
        globex.database,
        "CREATE COLLATION app.german (provider = icu, locale = 'de')",
        'CREATE TABLE app.names (name text COLLATE app.german)',
        // Outside the WAL, so empty after a restore, which is no fault (F31).
        'CREATE UNLOGGED TABLE app.cache (n int)',
        'INSERT INTO app.cache SELECT generate_series(1, 100)',
      );
      system.asSuperuser(globex.database, "UPDATE pg_collation SET collversion = '1' WHERE collname = 'german'");
      await system.takeLedger();
      const { findings } = await system.verify(south);
      assert.equal(findings.length, 1);
      await system.world.sql(globex.database, 'DROP TABLE app.names, app.cache', 'DROP COLLATION app.german');
      await system.takeLedger();
      return red({ findings });
    },
  },
  {
    id: 'F22',
    damage: 'the WAL of the making of the base backup is removed from north',
    names: /FH_BACKUP_NOT_RESTORABLE/,
    async inject(system) {
      const { north, acme } = system.world;
      const { startLsn, stopLsn } = system.manifest;
      return system.withoutShipper(async () => {
        const names = await system.walIn(north, parseLsn(startLsn), parseLsn(stopLsn));
        const attempt = () => refused(system.restore(acme, async () => {}));
        return system.damaged(north, names, () => undefined, attempt);
      });
    },
  },
  {
    id: 'F23',
    damage: 'backup_label is lost from the restored files',
    names: /FH_RECOVERY_UNFIT.*backup_label is missing/,
    async inject(system) {
      const { manifest, world, scratchParent } = system;
      const { own, keys, north } = world;
      const folder = await createScratchFolder(scratchParent, own.osUser);
      try {
        const into = folder.dataDir;
        const owner = own.osUser && { owner: own.osUser };
        await restoreFiles({ region: north, manifest, keys, into, databases: [], durable: false, ...owner });
        await rm(path.join(into, 'backup_label'));
        return await refused(
          startRecovery({
            folder,
            binaries: own.cluster.options.binaries,
            walSource: { openSegment: async () => undefined, readHistory: async () => undefined },
            target: { kind: 'end', atLeast: 0n },
            timeline: manifest.timeline,
            systemIdentifier: manifest.systemIdentifier,
            log: silentLog,
          }),
        );
      } finally {
        await folder.remove();
      }
    },
  },
  {
    id: 'F24',
    damage: 'the settings of the server, which are in its base backup, archive WAL into a folder',
    names: /nothing was archived/,
    async inject(system) {
      const { world } = system;
      const { osUser, cluster } = world.own;
      const archive = await world.newFolder();
      if (osUser) await chown(archive, osUser.uid, osUser.gid);
      const settings = path.join(cluster.options.dataDir, 'postgresql.auto.conf');
      await writeFile(settings, `archive_mode = 'on'\narchive_command = 'cp %p ${archive}/%f'\n`);
      const backup = await world.takeBackup();
      await writeFile(settings, '');
      await system.takeLedger();
      // From the newest backup, which is this one.
      const texts = await system.restore(world.acme, (restored) => system.texts(restored));
      await system.forget(backup);
      assert.ok(texts.length > 0);
      assert.deepEqual(await readdir(archive), []);
      return { answer: 'unharmed', said: 'nothing was archived' };
    },
  },
  {
    id: 'F25',
    damage: 'pg_dump of globex ends with an error',
    names: /FH_DUMP_FAILED/,
    async inject(system) {
      const { world } = system;
      const { globex, north, south } = world;
      await world.sql(globex.database, 'CREATE TABLE app.closed (n int)', 'REVOKE ALL ON app.closed FROM CURRENT_USER');
      // The snapshot is read before; pg_dump is refused when it has begun to write.
      const content = { settings: {}, withoutRows: [], read: async () => ({ sha256: 'x', tables: [] }) };
      const options = await dumpOptions(world, globex, [north, south]);
      const observed = await refused(dumpTenant({ ...options, content }));
      await world.sql(globex.database, 'DROP TABLE app.closed');
      for (const region of [north, south]) assert.deepEqual(await Array.fromAsync(region.list('dumps/')), []);
      return observed;
    },
  },
  {
    id: 'F26',
    damage: 'row security hides rows of acme from the role that dumps',
    names: /FH_DUMP_FAILED.*ten_/,
    async inject(system) {
      const { world } = system;
      const { acme, north } = world;
      await world.sql(
        acme.database,
        'ALTER TABLE app.items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        'CREATE POLICY few ON app.items USING (item_id < 10)',
      );
      const { said } = await refused(dumpTenant(await dumpOptions(world, acme, [north])));
      await world.sql(
        acme.database,
        'ALTER TABLE app.items DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
        'DROP POLICY few ON app.items',
      );
      await system.takeLedger();
      return alarm(said);
    },
  },
  {
    id: 'F27',
    damage: 'the job that makes backups hangs for two days',
    names: /base backup: overdue/,
    async inject({ db }) {
      const shutdown = new Shutdown(silentLog);
      let aheadMs = 0;
      const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
      const jobs = createJobs({ db, clock, log: silentLog, shutdown });
      const hung = Promise.withResolvers<void>();
      let isRunning = false;
      const run = async () => {
        isRunning = true;
        await hung.promise;
      };
      jobs.add({
        name: 'base backup',
        everyMs: dayMs,
        firstAfterMs: 0,
        retryAfterMs: dayMs,
        overdueAfterMs: dayMs,
        run,
      });
      try {
        await waitFor('the job to run', () => isRunning, waits);
        assert.equal((await jobs.list())[0]!.isOverdue, false);
        aheadMs = 2 * dayMs;
        const [job] = await jobs.list();
        return alarm(`${job!.name}: ${job!.isOverdue ? 'overdue' : 'fine'}`);
      } finally {
        hung.resolve();
        await shutdown.run();
      }
    },
  },
  {
    id: 'F29',
    damage: 'the disk of the spool is full',
    names: /received WAL could not be kept.*(ENOSPC|no space)/is,
    async inject(system) {
      const { world } = system;
      const disk = mountSmallDisk(8);
      const told: string[] = [];
      const log = {
        ...silentLog,
        error: (text: string, fields: { error?: Error } = {}) => void told.push(`${text} ${fields.error?.message}`),
      };
      try {
        const spoolDir = disk && path.join(disk.folder, 'spool');
        const shipper = await world.restartShipper({ log, ...(spoolDir && { spoolDir }) });
        await world.shipped();
        if (disk) disk.keepFilled(0);
        // Where mounting is not allowed, the write fails as on a full disk.
        else armFailpoints('shipping.spool.written=enospc');
        await system.writeNoise(1_000);
        const find = () => told.find((line) => line.startsWith('received WAL could not be kept'));
        const said = await waitFor('it to be told', find, waits);
        disk?.free();
        await world.shipped();
        await shipper.stop();
        return alarm(said);
      } finally {
        armFailpoints('');
        await system.normalShipper();
        disk?.unmount();
      }
    },
  },
];
