/** F01 to F15 and F28: WAL, and its way to the regions and back. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sealManifest } from '#src/backups/base/manifest.ts';
import { manifestName } from '#src/backups/base/names.ts';
import { buildCatalogue, createCatalogueReader, toRefusal } from '#src/backups/index.ts';
import { chunkName, sealWal } from '#src/backups/shipping/wal-objects.ts';
import { formatLsn, newId, waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { alarm, type Injection, type Observed, red, refused, unharmed } from './injection.ts';
import { type FaultSystem, inWords, waits } from './system.ts';

const flipped = (bytes: Buffer) => {
  bytes[Math.floor(bytes.length * 0.7)]! ^= 1;
  return bytes;
};

/** Whatever holds a stretch in the middle of the WAL that a restore needs. */
async function middleOf(system: FaultSystem): Promise<string[]> {
  const pieces = await system.walOfPlan(system.world.north);
  const { start, end } = pieces[pieces.length >> 1]!;
  return system.walIn(system.world.north, start, end);
}

const spoiltWal =
  (act: (bytes: Buffer) => Buffer | undefined) =>
  async (system: FaultSystem): Promise<Observed> => {
    const { north } = system.world;
    return system.withoutShipper(async () =>
      red(await system.damaged(north, await middleOf(system), act, () => system.verify(north))),
    );
  };

export const walInjections: readonly Injection[] = [
  {
    id: 'F01',
    damage: 'the disk of north garbles a chunk between writing it and reading it back',
    names: /FH_REGION_DAMAGED/,
    async inject(system) {
      const { world } = system;
      const staging = path.join(world.folderOf(world.north), '.staging');
      let left = 1;
      let said = '';
      const garbling: RegionStore = {
        ...world.north,
        async put(name, content, options) {
          if (!name.startsWith('wal/') || left === 0) return world.north.put(name, content, options);
          left--;
          async function* garbled() {
            yield content as Uint8Array;
            for (const file of await readdir(staging)) {
              const bytes = await readFile(path.join(staging, file)).catch(() => Buffer.alloc(0));
              if (bytes.length === 0) continue;
              bytes[bytes.length >> 1]! ^= 1;
              await writeFile(path.join(staging, file), bytes);
            }
          }
          return world.north.put(name, garbled(), options).catch((error) => {
            said = inWords(error);
            throw error;
          });
        },
      };
      await world.restartShipper({ regions: [garbling, world.south] });
      await system.writeNoise(100);
      await waitFor('the chunk to be refused', () => said !== '', waits);
      await system.normalShipper();
      await system.takeLedger();
      return unharmed(system, said);
    },
  },
  {
    id: 'F28',
    damage: 'a copy of the server that was behind takes over, while the regions hold what it never received',
    names: /held: .*lsn.*kept: .*lsn/,
    async inject(system) {
      const { world } = system;
      const { cluster } = world.own;
      const { dataDir } = cluster.options;
      await cluster.stop({ smartMs: 0 });
      await system.copyFolder(dataDir, `${dataDir}-behind`);
      await cluster.start();
      await world.reconnect();
      await system.writeNoise(2_000);
      await world.shipped();
      await world.shipper().stop();
      await cluster.stop({ smartMs: 0 });
      await rm(dataDir, { recursive: true });
      await rename(`${dataDir}-behind`, dataDir);
      await writeFile(path.join(dataDir, 'recovery.signal'), '');
      const settings = path.join(dataDir, 'postgresql.auto.conf');
      await writeFile(settings, "restore_command = 'false'\n");
      await cluster.start();
      await world.reconnect();
      await waitFor(
        'the promotion',
        async () => (await world.control.query('SELECT pg_is_in_recovery() AS standby'))[0]!.standby === false,
        waits,
      );
      await writeFile(settings, '');
      await system.normalShipper();
      const said = await system.heard('wal.diverged');
      // What the regions hold of the former timeline goes on behind the branch, and is nothing of the server's.
      const newest = await system.newest();
      for (const { shipped } of world.shipper().status().regions) assert.ok(shipped <= newest, formatLsn(shipped));
      assert.equal((await system.takeLedger()).timeline, 2);
      return alarm(said);
    },
  },
  {
    id: 'F02',
    damage: 'a piece of WAL is removed from north',
    names: /WAL is missing in region north/,
    inject: spoiltWal(() => undefined),
  },
  {
    id: 'F03',
    damage: 'a bit of WAL in north is flipped; then all of the object is zeros',
    names: /WAL is missing in region north|wal\/clu_.* was changed|FH_BACKUP_OBJECT_DAMAGED|FH_RECOVERY_WAL/,
    async inject(system) {
      const first = await spoiltWal(flipped)(system);
      const second = await spoiltWal((bytes) => bytes.fill(0))(system);
      assert.match(first.said, this.names);
      return second;
    },
  },
  {
    id: 'F04',
    damage: 'WAL in north is cut off in the middle',
    names: /WAL is missing in region north|wal\/clu_.* was changed|FH_BACKUP_OBJECT_DAMAGED|FH_RECOVERY_WAL/,
    inject: spoiltWal((bytes) => bytes.subarray(0, bytes.length >> 1)),
  },
  {
    id: 'F05',
    damage: 'the credentials for north expire while WAL is fetched',
    names: /FH_RECOVERY_WAL_UNAVAILABLE/,
    async inject(system) {
      const { acme, north } = system.world;
      const region: RegionStore = {
        ...north,
        async get(name, options) {
          if (name.startsWith('wal/')) throw new Error('credentials have expired');
          return north.get(name, options);
        },
      };
      return refused(system.restore(acme, async () => {}, { region }));
    },
  },
  {
    id: 'F06',
    damage: 'the history file of timeline 2 is removed from north',
    names: /history file of timeline 2 .*north/,
    async inject(system) {
      const { north, acme, clusterId } = system.world;
      const names = (await Array.fromAsync(north.list(`history/${clusterId}/`))).map(({ name }) => name);
      return system.damaged(
        north,
        names,
        () => undefined,
        () => refused(system.restore(acme, async () => {})),
      );
    },
  },
  {
    id: 'F07',
    damage: 'a base backup of timeline 1 says that it ended behind the place where timeline 2 left it',
    names: /FH_BACKUP_NOT_RESTORABLE/,
    async inject(system) {
      const { world, manifest } = system;
      const { north, clusterId, keys } = world;
      const catalogue = await buildCatalogue({ region: north, reader: createCatalogueReader(north, keys) });
      const [fork] = catalogue.clusters.get(clusterId)!.timelines.get(2)!.ancestors!;
      const backupId = newId('bak');
      const forged = { ...manifest, backupId, stopLsn: formatLsn(fork!.switchedAt + 100n) };
      const name = manifestName(clusterId, backupId);
      await north.put(name, await sealManifest(forged, await keys.currentKey(clusterId)));
      try {
        const planned = await system.restore(world.acme, async () => 'restored all the same');
        assert.equal(planned, 'restored all the same');
        const { findings } = await system.verify(north, { backupId, shippingDeadlineMs: 500 });
        assert.notEqual(findings.length, 0);
        return { answer: 'refused', said: red({ findings }).said };
      } finally {
        await north.remove(name);
      }
    },
  },
  {
    id: 'F08',
    damage: 'somebody else has stored other bytes under the name of the next chunk in south',
    names: /FH_WAL_SECOND_WRITER/,
    async inject(system) {
      const { world } = system;
      const { clusterId, keys, south } = world;
      let name = '';
      let forged: Buffer = Buffer.alloc(0);
      const shipper = await world.restartShipper({}, async () => {
        const { spooled, timeline } = world.shipper().status();
        const range = { timeline, start: spooled, end: spooled + 8n };
        name = chunkName(clusterId, range);
        const key = await keys.currentKey(clusterId);
        forged = await sealWal('wal', { clusterId, key }, range, Buffer.from('not ours'));
        await south.put(name, forged);
      });
      await system.writeNoise(10);
      const observed = await refused(shipper.done);
      await shipper.stop();
      // What one region lacks, it is given from the other.
      for (const region of [world.north, south]) {
        const found = await region.get(name);
        const bytes = found && Buffer.concat(await Array.fromAsync(found));
        if (bytes?.equals(forged)) await region.remove(name);
      }
      await system.normalShipper();
      return observed;
    },
  },
  {
    id: 'F09',
    damage: 'the restored server dies while it replays, after it was started',
    names: /FH_RECOVERY_FAILED/,
    async inject(system) {
      const kill = () => {
        const [pidFile] = globSync('*/**/postmaster.pid', { cwd: system.scratchParent });
        const [pid] = readFileSync(path.join(system.scratchParent, pidFile!), 'utf8').split('\n');
        process.kill(Number(pid), 'SIGKILL');
      };
      let isKilled = false;
      return refused(
        system.restore(system.world.acme, async () => {}, {
          onProgress: ({ phase }) => {
            // At once: the server must not have the time to end its recovery.
            if (phase !== 'wal' || isKilled) return;
            isKilled = true;
            kill();
          },
        }),
      );
    },
  },
  {
    id: 'F10',
    damage: 'a moment is asked for that lies behind the last WAL',
    names: /the WAL in region north ends at/,
    async inject({ world }) {
      const target = { kind: 'lsn', lsn: 2n ** 40n } as const;
      const planned = await world.tryPlan(world.north, target, { kind: 'database', oid: world.acme.oid });
      assert.notEqual(planned.outcome, 'plan');
      return refused(Promise.reject(toRefusal(planned as Exclude<typeof planned, { outcome: 'plan' }>)));
    },
  },
  {
    id: 'F11',
    damage: 'the slot loses its WAL while the shipper is away',
    names: /wal\.gap.*from: .*lsn.*to: .*lsn/,
    async inject(system) {
      const { world } = system;
      const limits = ['max_slot_wal_keep_size', 'wal_keep_size', 'max_wal_size', 'min_wal_size'];
      await world.restartShipper({}, async () => {
        system.asSuperuser(
          'postgres',
          "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'",
          'ALTER SYSTEM SET wal_keep_size = 0',
          "ALTER SYSTEM SET max_wal_size = '32MB'",
          "ALTER SYSTEM SET min_wal_size = '32MB'",
          'SELECT pg_reload_conf()',
        );
        await waitFor(
          'the slot to lose its WAL',
          async () => {
            await system.writeNoise(10);
            system.asSuperuser('postgres', 'SELECT pg_switch_wal()', 'CHECKPOINT');
            const [slot] = await system.db.query<{ isLost: boolean }>(
              "SELECT wal_status = 'lost' AS \"isLost\" FROM pg_replication_slots WHERE slot_name = 'freehold_shipper'",
            );
            return slot!.isLost;
          },
          waits,
        );
        system.asSuperuser(
          'postgres',
          ...limits.map((name) => `ALTER SYSTEM RESET ${name}`),
          'SELECT pg_reload_conf()',
        );
      });
      const said = await system.heard('wal.gap');
      await system.heard('slot.lost');
      await system.normalShipper();
      // The old ledger is on the near side and still good; across the hole nothing is, whoever asks.
      await system.takeLedger();
      assert.match(red(await system.verify(world.north)).said, /WAL is missing in region north/);
      // What the product asks for at once.
      await system.takeBackup();
      await system.takeLedger();
      return alarm(said);
    },
  },
  {
    id: 'F12',
    damage: 'south takes the bytes and never answers',
    names: /south.*away.*lag/,
    async inject(system) {
      const { world } = system;
      const letGo = Promise.withResolvers<void>();
      const silent: RegionStore = {
        ...world.south,
        async put(...args) {
          await letGo.promise;
          return world.south.put(...args);
        },
      };
      const shipper = await world.restartShipper({ regions: [world.north, silent], awayAfterMs: 500 });
      await system.writeNoise(100);
      const end = await system.newest();
      const isAway = () => shipper.status().regions[1]!.state === 'away';
      await waitFor('the alarm', () => isAway() && shipper.status().flushed >= end, waits);
      const { state, lagMs, shipped } = shipper.status().regions[1]!;
      assert.ok(shipped < end && lagMs >= 500);
      letGo.resolve();
      await system.normalShipper();
      return alarm(`south is ${state}, lag ${lagMs} ms`);
    },
  },
  {
    id: 'F14',
    damage: 'a crash left an empty object under the name of the next chunk in south',
    names: /region: south/,
    async inject(system) {
      const { world } = system;
      let file = '';
      const before = world.events.length;
      await world.restartShipper({ awayAfterMs: 500 }, async () => {
        const { spooled, timeline } = world.shipper().status();
        file = path.join(world.folderOf(world.south), chunkName(world.clusterId, { timeline, start: spooled }));
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, '');
      });
      await system.writeNoise(100);
      // North may well be slow as well, on a busy machine.
      const find = () =>
        world.events.slice(before).find((event) => event.kind === 'region.away' && event.region === 'south');
      const said = await waitFor('the alarm', find, waits);
      await chmod(file, 0o600);
      await rm(file);
      await system.normalShipper();
      return alarm(said);
    },
  },
  {
    id: 'F15',
    damage: 'both regions are away until the spool is full',
    names: /spool\.full.*limitBytes/,
    async inject(system) {
      const { world } = system;
      const tight = { awayAfterMs: 500, spoolLimitBytes: 400_000, chunkBytes: 256 * 1024 };
      const shipper = await world.restartShipper(tight);
      await world.shipped();
      const [said, end] = await system.away(world.north, () =>
        system.away(world.south, async () => {
          await system.writeNoise(60_000);
          const full = await system.heard('spool.full');
          const newest = await system.newest();
          assert.ok(shipper.status().received < newest, 'the slot keeps the rest');
          return [full, newest] as const;
        }),
      );
      await waitFor('both to have all', () => shipper.status().regions.every(({ shipped }) => shipped >= end), waits);
      assert.deepEqual(shipper.status().gaps, []);
      await system.normalShipper();
      await system.takeLedger();
      return unharmed(system, inWords(said));
    },
  },
];
