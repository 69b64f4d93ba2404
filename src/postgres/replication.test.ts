import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { segmentFileName, segmentStart, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import { type OwnCluster, startOwnCluster } from '../../test/support/own-cluster.ts';
import { openReplication, type ReplicationConnection, sqlState, type WalStream } from './index.ts';
import { parseWalMessage } from './wal-messages.ts';

let server: OwnCluster;
before(async () => {
  server = await startOwnCluster();
});
after(() => server.remove());

async function withReplication<T>(fn: (connection: ReplicationConnection) => Promise<T>): Promise<T> {
  const connection = await openReplication(server.replication, { applicationName: 'freehold_shipper' });
  try {
    return await fn(connection);
  } finally {
    await connection.close();
  }
}

async function write(rows: number): Promise<void> {
  const db = await server.connect();
  try {
    await db.query('CREATE TABLE IF NOT EXISTS ballast (filler text)');
    await db.query('INSERT INTO ballast SELECT repeat(md5(i::text), 30) FROM generate_series(1, $1::int) i', [rows]);
  } finally {
    await db.close();
  }
}

/** Reads until the stream has reached `end`; what it held, by place. */
async function readUntil(stream: WalStream, from: bigint, end: bigint): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let at = from;
  for await (const message of stream) {
    if (message.kind !== 'data') continue;
    assert.equal(message.start, at, 'no byte is missing and none comes twice');
    pieces.push(message.data);
    at += BigInt(message.data.length);
    if (at >= end) break;
  }
  return Buffer.concat(pieces);
}

test('the role may replicate, and nothing else', async () => {
  await withReplication(async (connection) => {
    const identity = await connection.identifySystem();
    assert.match(identity.systemIdentifier, /^\d{10,}$/);
    assert.equal(identity.timeline, 1);
    assert.equal(await connection.showSetting('wal_segment_size'), '16MB');
  });
  const wrong = { ...server.replication, password: server.control.password };
  await assert.rejects(openReplication(wrong, { applicationName: 'test' }), (error) => sqlState(error) === '28P01');
  await assert.rejects(
    openReplication({ ...server.control }, { applicationName: 'test' }),
    (error) => sqlState(error) === '28000',
  );
});

test('a slot keeps WAL from its birth; read, refused twice, dropped', () =>
  withReplication(async (connection) => {
    assert.equal(await connection.readSlot('life'), undefined);
    await connection.createPhysicalSlot('life');
    const slot = await connection.readSlot('life');
    assert.ok(slot!.restartLsn! > 0n);
    assert.equal(slot!.restartTimeline, 1);
    await assert.rejects(connection.createPhysicalSlot('life'), (error) => sqlState(error) === '42710');
    await connection.dropSlot('life');
    assert.equal(await connection.readSlot('life'), undefined);
    assert.throws(() => connection.startReplication({ slot: 'x"; y', timeline: 1, from: 0n }), TypeError);
  }));

test('the stream is the segment file, byte for byte, over several segments', async () => {
  const from = await withReplication(async (connection) => {
    await connection.createPhysicalSlot('bytes');
    return segmentStart((await connection.readSlot('bytes'))!.restartLsn!);
  });
  await write(40_000);
  await withReplication(async (connection) => {
    const { flushed } = await connection.identifySystem();
    assert.ok(flushed - from > 2n * walSegmentBytes, 'enough was written');
    const stream = await connection.startReplication({ slot: 'bytes', timeline: 1, from });
    const wal = await readUntil(stream, from, flushed);
    for (let at = from; at + walSegmentBytes <= flushed; at += walSegmentBytes) {
      const file = await readFile(path.join(server.cluster.options.dataDir, 'pg_wal', segmentFileName(1, at)));
      const streamed = wal.subarray(Number(at - from), Number(at - from + walSegmentBytes));
      assert.ok(file.equals(streamed), segmentFileName(1, at));
    }
  });
});

test('a status moves the slot, and a commit that asks for it waits for flush', async () => {
  const db = await server.connect();
  try {
    await withReplication(async (connection) => {
      await connection.createPhysicalSlot('sync');
      const { flushed } = await connection.identifySystem();
      const stream = await connection.startReplication({ slot: 'sync', timeline: 1, from: segmentStart(flushed) });
      await db.query('SET synchronous_commit = on');
      let committed = false;
      const commit = db.query('CREATE TABLE waits ()').then(() => {
        committed = true;
      });
      let sawWaiting = false;
      for await (const message of stream) {
        const end = message.kind === 'data' ? message.start + BigInt(message.data.length) : message.walEnd;
        if (!sawWaiting) {
          // Written is not enough.
          stream.sendStatus({ write: end, flush: flushed, apply: flushed });
          await oneWaits();
          assert.equal(committed, false);
          sawWaiting = true;
        }
        stream.sendStatus({ write: end, flush: end, apply: end });
        if (end >= (await flushedNow())) break;
      }
      await commit;
      await waitFor('the slot to move', async () =>
        withReplication(async (other) => (await other.readSlot('sync'))!.restartLsn! > flushed),
      );
    });
  } finally {
    await db.close();
  }
});

function flushedNow(): Promise<bigint> {
  return withReplication(async (connection) => (await connection.identifySystem()).flushed);
}

async function oneWaits(): Promise<void> {
  const db = await server.connect();
  try {
    await waitFor('the commit to wait', async () => {
      const rows = await db.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
      return rows.length > 0;
    });
  } finally {
    await db.close();
  }
}

test('WAL that is gone, a place in the future and a server that goes down are told apart', async () => {
  const refused = (from: bigint) =>
    withReplication(async (connection) => {
      try {
        const stream = await connection.startReplication({ timeline: 1, from });
        for await (const message of stream) assert.equal(message.kind, 'keepalive');
        return 'ended';
      } catch (error) {
        return sqlState(error);
      }
    });
  assert.equal(await refused(0n), '58P01');
  assert.equal(await refused(1n << 60n), 'XX000');
  await withReplication(async (connection) => {
    const { flushed } = await connection.identifySystem();
    const stream = await connection.startReplication({ timeline: 1, from: flushed });
    const stopping = server.cluster.stop({ smartMs: 0 });
    let end = flushed;
    for await (const message of stream) {
      end = message.kind === 'data' ? message.start + BigInt(message.data.length) : message.walEnd;
      stream.sendStatus({ write: end, flush: end, apply: end });
    }
    assert.equal(stream.timelineEnd(), undefined);
    await stopping;
  });
  await server.cluster.start();
});

test('a message of another kind is refused', () => {
  assert.throws(() => parseWalMessage(Buffer.from('B')));
  assert.throws(() => parseWalMessage(Buffer.alloc(0)));
  assert.throws(() => parseWalMessage(Buffer.from('k1234')));
});
