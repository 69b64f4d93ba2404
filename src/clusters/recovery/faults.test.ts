import assert from 'node:assert/strict';
import { copyFile, cp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { segmentFileName, walSegmentBytes } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { RecoveryOptions } from './recovery.ts';
import { folderSource, recoverFrom, type SourceServer, startSourceServer } from './source.fixture.ts';
import type { RecoveryTarget } from './target.ts';

let source: SourceServer;
/** Segments in the order of time; a row per segment in table `ledger`, the last ones carry restore point `end`. */
let segments: string[];
const end: RecoveryTarget = { kind: 'name', name: 'end' };

before(async () => {
  source = await startSourceServer();
  await source.sql('postgres', 'CREATE TABLE ledger (n int)');
  await source.takeBase();
  segments = [];
  for (let n = 1; n <= 5; n++) {
    await source.sql('postgres', `INSERT INTO ledger VALUES (${n})`);
    if (n === 5) await source.sql('postgres', "SELECT pg_create_restore_point('end')");
    segments.push(await source.archiveNow());
  }
});
after(() => source?.stop());

const nothing = async () => assert.fail('it must not succeed');

/** A copy of the archive that the fault is planted in. */
async function withArchive<T>(work: (archive: string) => Promise<T>): Promise<T> {
  const archive = path.join(source.folder, 'faulty');
  await cp(source.archive, archive, { recursive: true });
  try {
    return await work(archive);
  } finally {
    await rm(archive, { recursive: true });
  }
}

async function overwrite(file: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset).finally(() => handle.close());
}

const faults: [what: string, code: string, says: RegExp, plant: (file: string, name: string) => Promise<unknown>][] = [
  ['missing', 'FH_RECOVERY_TARGET_NOT_REACHED', /SEGMENT is missing/, (file) => rm(file)],
  [
    'all zeros',
    'FH_RECOVERY_WAL_DAMAGED',
    /SEGMENT: it begins with zeros/,
    (file) => writeFile(file, Buffer.alloc(Number(walSegmentBytes))),
  ],
  ['truncated', 'FH_RECOVERY_WAL_DAMAGED', /SEGMENT: it has 8192 bytes instead of/, (file) => truncate(file, 8192)],
  ['empty', 'FH_RECOVERY_WAL_DAMAGED', /SEGMENT: it has 0 bytes/, (file) => truncate(file, 0)],
  [
    'another one under its name',
    'FH_RECOVERY_WAL_DAMAGED',
    /SEGMENT: it belongs at /,
    (file) => copyFile(path.join(path.dirname(file), segments[1]!), file),
  ],
  [
    'of another cluster',
    'FH_RECOVERY_WAL_DAMAGED',
    /SEGMENT: it belongs to the system 1$/,
    (file) => overwrite(file, 24, Buffer.from('0100000000000000', 'hex')),
  ],
  // After a switch the first record begins behind the long page header (40 bytes); 20 bytes into it is its checksum.
  [
    'with a flipped bit',
    'FH_RECOVERY_TARGET_NOT_REACHED',
    /it ends in SEGMENT, nothing can be read from /,
    async (file) => {
      const bytes = await readFile(file);
      await overwrite(file, 60, Buffer.from([bytes[60]! ^ 1]));
    },
  ],
];
for (const [what, code, says, plant] of faults) {
  test(`a segment in the middle, ${what}: an error that names it, whatever the target`, async () => {
    await withArchive(async (archive) => {
      const segment = segments[2]!;
      await plant(path.join(archive, segment), segment);
      const expected = new RegExp(says.source.replace('SEGMENT', segment));
      // With `end`, PostgreSQL itself would promote at the fault without an error.
      for (const target of [end, { kind: 'end', atLeast: await source.lsn() } as const]) {
        await assert.rejects(
          recoverFrom(source, { walSource: folderSource(archive), target }, nothing),
          (error: { code: string; detail: string }) => {
            assert.equal(error.code, code);
            if (target === end || code === 'FH_RECOVERY_WAL_DAMAGED') assert.match(error.detail, expected);
            return true;
          },
        );
      }
    });
  });
}

test('a hole inside of a segment is damage, not the end', async () => {
  await source.sql('postgres', 'CREATE TABLE bulk AS SELECT repeat($$x$$, 500) FROM generate_series(1, 200)');
  const name = await source.archiveNow();
  await source.sql('postgres', "SELECT pg_create_restore_point('after the hole')");
  await source.archiveNow();
  await withArchive(async (archive) => {
    await overwrite(path.join(archive, name), 8192 * 3, Buffer.alloc(8192));
    const target = { kind: 'name', name: 'after the hole' } as const;
    await assert.rejects(recoverFrom(source, { walSource: folderSource(archive), target }, nothing), {
      code: 'FH_RECOVERY_WAL_DAMAGED',
      detail: new RegExp(`^${name}: there is a hole in it at `),
    });
  });
});

const neverReached: [string, () => RecoveryTarget][] = [
  ['a time after the last commit', () => ({ kind: 'time', time: new Date('2200-01-01T00:00:00Z') })],
  ['a restore point that nobody made', () => ({ kind: 'name', name: 'nowhere' })],
  ['a transaction that has not been', () => ({ kind: 'xid', xid: '4000000' })],
  ['a place behind the end', () => ({ kind: 'lsn', lsn: 2n ** 40n })],
  ['an end that is further', () => ({ kind: 'end', atLeast: 2n ** 40n })],
];
for (const [what, target] of neverReached) {
  test(`not reached: ${what}`, async () => {
    await assert.rejects(recoverFrom(source, { target: target() }, nothing), {
      code: 'FH_RECOVERY_TARGET_NOT_REACHED',
    });
  });
}

test('a source that fails is never taken for the end of the WAL', async () => {
  const working = folderSource(source.archive);
  for (const target of [end, { kind: 'end', atLeast: 1n } as const]) {
    let calls = 0;
    const walSource = {
      ...working,
      openSegment: async (...args: Parameters<typeof working.openSegment>) => {
        if (++calls > 2) throw new Error('credentials have expired');
        return working.openSegment(...args);
      },
    };
    await assert.rejects(recoverFrom(source, { walSource, target }, nothing), {
      code: 'FH_RECOVERY_WAL_UNAVAILABLE',
      detail: /^0000000100000000[0-9A-F]{8}$/,
    });
  }
});

test('a backup that is not fit for it is refused before anything is started', async () => {
  const refuse = (
    spoil: (dataDir: string) => Promise<unknown>,
    detail: RegExp,
    change: Partial<RecoveryOptions> = {},
  ) =>
    assert.rejects(
      (async () => {
        const spoiled = {
          ...source,
          restoreBase: async (...[folder, options]: Parameters<SourceServer['restoreBase']>) => {
            await source.restoreBase(folder, options);
            await spoil(folder.dataDir);
          },
        };
        await recoverFrom(spoiled, { target: end, ...change }, nothing);
      })(),
      { code: 'FH_RECOVERY_UNFIT', detail },
    );
  await refuse((dataDir) => rm(path.join(dataDir, 'backup_label')), /backup_label is missing/);
  await refuse((dataDir) => rm(path.join(dataDir, 'PG_VERSION')), /it is of PostgreSQL nothing/);
  await refuse((dataDir) => writeFile(path.join(dataDir, 'pg_tblspc', '1'), ''), /tablespaces/);
  await refuse(async () => {}, /it is of the system \d+$/, { systemIdentifier: '1' });
});

test('without page checksums nothing is recovered', async () => {
  const unchecked = await startSourceServer({ checksums: false });
  try {
    await unchecked.takeBase();
    await assert.rejects(recoverFrom(unchecked, { target: end }, nothing), {
      code: 'FH_RECOVERY_UNFIT',
      detail: /no checksums/,
    });
  } finally {
    await unchecked.stop();
  }
});

test('settings of the source and its other remains do not come along', async () => {
  const sabotaged: SourceServer = {
    ...source,
    async restoreBase(folder) {
      await source.restoreBase(folder);
      const settings = "archive_mode = on\narchive_command = 'false'\nrecovery_target = 'immediate'\n";
      await writeFile(path.join(folder.dataDir, 'postgresql.auto.conf'), settings);
      await writeFile(path.join(folder.dataDir, 'standby.signal'), '');
      // WAL of another history in the restored folder must not win over the source's.
      await writeFile(path.join(folder.dataDir, 'pg_wal', segments[2]!), Buffer.alloc(Number(walSegmentBytes)));
    },
  };
  await recoverFrom(sabotaged, { target: end }, async (server) => {
    const connection = await openConnection(server.connectionTarget('postgres', 'postgres'), {
      applicationName: 'test',
    });
    const [row] = await connection.query(
      "SELECT current_setting('archive_mode') AS archive, current_setting('listen_addresses') AS listen, count(*)::int AS rows FROM ledger",
    );
    assert.deepEqual(row, { archive: 'off', listen: '', rows: 5 });
    await connection.close();
  });
});

test('across a promotion: the history says which line, and without it there is no way', async () => {
  const archive = path.join(source.folder, 'two-timelines');
  await cp(source.archive, archive, { recursive: true });
  // A second server branches off after row 2 and goes on by itself.
  const branchPoint = await source.sql('postgres', 'SELECT xmin::text AS xid FROM ledger WHERE n = 2');
  await recoverFrom(
    source,
    { target: { kind: 'xid', xid: String(branchPoint[0]!.xid) }, durable: true },
    async (server, folder) => {
      assert.equal(server.newTimeline, 2);
      const connection = await openConnection(server.connectionTarget('postgres', 'postgres'), {
        applicationName: 'test',
      });
      await connection.query('INSERT INTO ledger VALUES (20)');
      await connection.query("SELECT pg_create_restore_point('on the branch')");
      const finish = async () =>
        String((await connection.query('SELECT pg_walfile_name(pg_switch_wal()) AS name'))[0]!.name);
      const names = ['00000002.history', await finish()];
      await connection.query('INSERT INTO ledger VALUES (21)');
      await connection.query("SELECT pg_create_restore_point('end of the branch')");
      names.push(await finish());
      await connection.close();
      for (const name of names) await copyFile(path.join(folder.dataDir, 'pg_wal', name), path.join(archive, name));
    },
  );
  const rows = (change: Pick<RecoveryOptions, 'target' | 'timeline'>) =>
    recoverFrom(source, { walSource: folderSource(archive), ...change }, async (server) => {
      assert.equal(server.newTimeline, 3);
      const connection = await openConnection(server.connectionTarget('postgres', 'postgres'), {
        applicationName: 'test',
      });
      const found = await connection.query<{ n: number }>('SELECT n FROM ledger ORDER BY n');
      await connection.close();
      return found.map(({ n }) => n);
    });
  try {
    assert.deepEqual(await rows({ target: { kind: 'name', name: 'end of the branch' }, timeline: 2 }), [1, 2, 20, 21]);
    // The line that was left lives on beside it.
    assert.deepEqual(await rows({ target: end, timeline: 1 }), [1, 2, 3, 4, 5]);
    await assert.rejects(rows({ target: end, timeline: 2 }), { code: 'FH_RECOVERY_TARGET_NOT_REACHED' });

    await writeFile(path.join(archive, '00000002.history'), '');
    await assert.rejects(rows({ target: { kind: 'name', name: 'on the branch' }, timeline: 2 }), {
      code: 'FH_RECOVERY_WAL_DAMAGED',
      detail: '00000002.history: it names no parent',
    });
    await rm(path.join(archive, '00000002.history'));
    await assert.rejects(rows({ target: { kind: 'name', name: 'on the branch' }, timeline: 2 }), {
      code: 'FH_RECOVERY_FAILED',
      detail: /recovery target timeline 2 does not exist/,
    });
  } finally {
    await rm(archive, { recursive: true });
  }
});

test('cancelled in the middle, nothing is left', async () => {
  const cancel = new AbortController();
  const onSegment = (timeline: number, start: bigint) => {
    if (segmentFileName(timeline, start) === segments[2]) cancel.abort(new Error('changed my mind'));
  };
  await assert.rejects(recoverFrom(source, { target: end, signal: cancel.signal, onSegment }, nothing), {
    message: 'changed my mind',
  });
  assert.deepEqual(await readdir(source.scratchParent), []);
});
