/** What networks and services do to us, in front of a real S3 server: every fault is mended by another try or is an error of the right kind; nothing is half there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { randomBytes, systemClock, waitFor } from '#src/kernel/index.ts';
import { type FaultProxy, startFaultProxy } from '../../test/support/fault-proxy.ts';
import { type SwiftServer, startSwift } from '../../test/support/swift.ts';
import { cut, read, sha256, stream } from './region-store.contract.ts';
import { createS3Region } from './s3-region.ts';
import type { S3RegionOptions } from './s3-requests.ts';

const MiB = 1024 * 1024;
const put = /^PUT .*x-id=PutObject/;
const part = /^PUT .*partNumber=2/;
const complete = /^POST .*uploadId=/;
const get = /^GET .*x-id=GetObject/;
const list = /^GET .*list-type=2/;

const small = Buffer.from('small');
const large = randomBytes(12 * MiB);
const largeStream = () => stream(cut(large, 256 * 1024));

let swift: SwiftServer;
let proxy: FaultProxy;
before(async () => {
  swift = await startSwift({ conditionalPut: true });
  proxy = await startFaultProxy(swift.endpoint);
});
after(async () => {
  await proxy?.stop();
  await swift?.stop();
});

async function optionsOf(): Promise<S3RegionOptions> {
  return {
    region: 'here',
    bucket: await swift.createBucket(),
    endpoint: proxy.endpoint,
    location: swift.location,
    accessKeyId: swift.accessKeyId,
    secretAccessKey: swift.secretAccessKey,
    initialise: true,
    partBytes: 5 * MiB,
    requestTimeoutMs: 20_000,
    attempts: 3,
  };
}

/** A store that has found out already how the service creates. */
async function openStore(more: Partial<S3RegionOptions> = {}) {
  const options = { ...(await optionsOf()), ...more };
  const store = createS3Region(options);
  assert.equal((await store.put('a/first', small)).outcome, 'created');
  return { store, bucket: options.bucket };
}

async function objectsIn(bucket: string): Promise<string[]> {
  const { Contents = [] } = await swift.client.send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key }) => Key!).filter((key) => !key.includes('.') && key !== 'a/first');
}

async function uploadsIn(bucket: string): Promise<number> {
  return (await swift.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads?.length ?? 0;
}

describe('mended by another try, without the caller noticing', () => {
  const mended: [string, () => void][] = [
    ['throttling', () => proxy.plan(put, { kind: 'answer', status: 503, code: 'SlowDown' }, 2)],
    ['too many requests', () => proxy.plan(part, { kind: 'answer', status: 429, code: 'TooManyRequests' }, 2)],
    ['an internal error', () => proxy.plan(complete, { kind: 'answer', status: 500, code: 'InternalError' }, 2)],
    [
      'a conflict with another writer',
      () => proxy.plan(complete, { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' }),
    ],
    ['a connection reset in the middle of a PUT', () => proxy.plan(put, { kind: 'reset-upload', afterBytes: 1 })],
    [
      'a connection reset in the middle of a part',
      () => proxy.plan(part, { kind: 'reset-upload', afterBytes: 2 * MiB }, 2),
    ],
    ['a lost answer to a PUT that worked', () => proxy.plan(put, { kind: 'lose-answer' })],
    ['a lost answer to a part that worked', () => proxy.plan(part, { kind: 'lose-answer' })],
    ['a lost answer to a completion that worked', () => proxy.plan(complete, { kind: 'lose-answer' })],
    ['reading back broken off', () => proxy.plan(get, { kind: 'reset-download', afterBytes: 3 * MiB }, 2)],
  ];
  for (const [what, plan] of mended)
    test(what, async () => {
      const { store, bucket } = await openStore();
      plan();
      for (const [name, content, whole] of [
        ['a/small', small, small],
        ['a/large', largeStream(), large],
      ] as const) {
        const result = await store.put(name, content);
        assert.deepEqual(result, { outcome: 'created', sizeBytes: whole.length, sha256: sha256(whole) });
        assert.ok(whole.equals(await read(store, name)));
      }
      assert.equal(proxy.pending(), 0);
      assert.equal(await uploadsIn(bucket), 0);
    });

  test('a download that breaks or falls silent goes on where it stopped, also within a range', async () => {
    const options = await optionsOf();
    await createS3Region(options).put('a/large', large);
    const store = createS3Region({ ...options, requestTimeoutMs: 3_000 });
    await store.stat('a/large');
    proxy.plan(get, { kind: 'reset-download', afterBytes: 4 * MiB });
    proxy.plan(get, { kind: 'stall-download', afterBytes: 2 * MiB });
    assert.ok(large.equals(await read(store, 'a/large')));
    proxy.plan(get, { kind: 'reset-download', afterBytes: 1 * MiB });
    assert.ok(large.subarray(1_000, 9 * MiB).equals(await read(store, 'a/large', { from: 1_000, to: 9 * MiB })));
    assert.equal(proxy.pending(), 0);
  });

  test('a list over a throttled page', async () => {
    const { store } = await openStore({ pageSize: 1 });
    await store.put('a/second', small);
    proxy.plan(list, { kind: 'answer', status: 503, code: 'SlowDown' }, 2);
    assert.deepEqual(
      (await Array.fromAsync(store.list('a/'))).map(({ name }) => name),
      ['a/first', 'a/second'],
    );
  });
});

describe('errors when the tries are used up', () => {
  const unavailable = { code: 'FH_REGION_UNAVAILABLE', retry: 'soon' };
  const failing: [string, RegExp, Parameters<FaultProxy['plan']>[1], Buffer][] = [
    ['throttled PUT', put, { kind: 'answer', status: 503, code: 'SlowDown' }, small],
    ['throttled part', part, { kind: 'answer', status: 503, code: 'SlowDown' }, large],
    ['a part whose connection is always reset', part, { kind: 'reset-upload', afterBytes: MiB }, large],
    ['a completion that never works', complete, { kind: 'answer', status: 500, code: 'InternalError' }, large],
  ];
  for (const [what, matches, fault, content] of failing)
    test(`${what}: unavailable, nothing is there, and the same put works later`, async () => {
      const { store, bucket } = await openStore();
      proxy.plan(matches, fault, 3);
      await assert.rejects(store.put('a/one', content), unavailable);
      assert.equal(proxy.pending(), 0);
      assert.deepEqual(await objectsIn(bucket), []);
      assert.equal(await uploadsIn(bucket), 0);
      assert.equal((await store.put('a/one', content)).outcome, 'created');
    });

  test('a service that never answers: unavailable after the time-outs, not for ever', async () => {
    const store = createS3Region({ ...(await optionsOf()), requestTimeoutMs: 300 });
    proxy.plan(/./, { kind: 'hang' }, 3);
    const startedAt = systemClock.monotonicMs();
    await assert.rejects(store.stat('a/first'), { ...unavailable, detail: 'region here: no answer within 300 ms' });
    assert.ok(systemClock.monotonicMs() - startedAt < 60_000);
    assert.equal(proxy.pending(), 0);
  });

  test('nobody listens, or the name is not known: unavailable, also for a store made meanwhile, and mended by itself', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await once(server.close(), 'close');
    const store = createS3Region({ ...(await optionsOf()), endpoint: `http://127.0.0.1:${port}` });
    await assert.rejects(store.put('a/one', small), unavailable);
    await assert.rejects(Array.fromAsync(store.list('')), unavailable);
    const later = await startFaultProxy(swift.endpoint, port);
    try {
      assert.equal((await store.put('a/one', small)).outcome, 'created');
    } finally {
      await later.stop();
    }
  });

  test('bytes that come back changed: damaged, and gone, so that the same put works', async () => {
    const { store, bucket } = await openStore();
    for (const content of [small, large]) {
      proxy.plan(get, { kind: 'garble-download' });
      await assert.rejects(store.put('a/one', content), { code: 'FH_REGION_DAMAGED', retry: 'later' });
      assert.deepEqual(await objectsIn(bucket), []);
    }
    assert.equal((await store.put('a/one', large)).outcome, 'created');
  });

  test('a full bucket: FH_STORAGE_FULL that names the region', async () => {
    const { store } = await openStore();
    proxy.plan(put, { kind: 'answer', status: 507, code: 'InsufficientStorage' });
    await assert.rejects(store.put('a/one', small), { code: 'FH_STORAGE_FULL', detail: /^region here: / });
  });
});

describe('what a person must mend', () => {
  const refused: [string, (options: S3RegionOptions) => Partial<S3RegionOptions>, RegExp][] = [
    ['a wrong secret', () => ({ secretAccessKey: 'wrong-secret-0123456789' }), /SignatureDoesNotMatch \(403\)$/],
    ['an unknown key', () => ({ accessKeyId: 'nobody-0123456789' }), /\(403\)$/],
    ['no such bucket', () => ({ bucket: 'no-such-bucket' }), /NoSuchBucket \(404\)$/],
    ['a bucket that nobody set up', () => ({ initialise: false }), /was never set up as a region/],
  ];
  for (const [what, change, detail] of refused)
    test(`${what}: refused at once, and no word of the credentials`, async () => {
      const options = await optionsOf();
      const changed = { ...options, ...change(options) };
      const store = createS3Region(changed);
      const before = proxy.requests.length;
      for (const call of [store.put('a/one', small), store.get('a/one'), store.stat('a/one'), store.remove('a/one')])
        await assert.rejects(call, (error: Error & { code: string; detail: string }) => {
          assert.equal(error.code, 'FH_REGION_REFUSED');
          assert.match(error.detail, detail);
          const everything = inspect(error, { depth: 20, showHidden: true });
          assert.ok(!everything.includes(changed.secretAccessKey) && !everything.includes(changed.accessKeyId));
          return true;
        });
      assert.ok(proxy.requests.length - before <= 4, 'tried again although that is in vain');
    });

  test("another region's bucket, and one that is not empty, are not taken over", async () => {
    const options = await optionsOf();
    await createS3Region({ ...options, region: 'there' }).stat('a');
    await assert.rejects(createS3Region(options).stat('a'), {
      code: 'FH_REGION_REFUSED',
      detail: /is the region there$/,
    });
    const prefix = 'below';
    await createS3Region({ ...options, prefix }).put('a/one', small);
    const { bucket } = await optionsOf();
    await createS3Region({ ...options, bucket, prefix }).stat('a');
    await assert.rejects(createS3Region({ ...options, bucket }).stat('a'), {
      code: 'FH_REGION_REFUSED',
      detail: /is not empty/,
    });
  });
});

test('a slow service: no more is held than the parts under way and the next, and the caller can give up', async () => {
  const { store, bucket } = await openStore();
  proxy.plan(/partNumber=/, { kind: 'hang' }, 3);
  let takenBytes = 0;
  async function* endless() {
    for (;;) {
      takenBytes += MiB;
      yield Buffer.alloc(MiB);
    }
  }
  const controller = new AbortController();
  const put = store.put('a/one', endless(), { signal: controller.signal });
  put.catch(() => {});
  await waitFor('three parts to hang', () => proxy.pending() === 0);
  assert.ok(takenBytes <= 4 * 5 * MiB, `took ${takenBytes} bytes`);
  const enough = new Error('enough');
  controller.abort(enough);
  await assert.rejects(put, enough);
  assert.deepEqual(await objectsIn(bucket), []);
  assert.equal(await uploadsIn(bucket), 0);
});

/** Puts one large object in a process of its own, which a failpoint kills. Runs from the top of the repository. */
const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints } from '#src/kernel/index.ts';
  import { createS3Region } from './src/objects/s3-region.ts';
  const { options, point, sizeBytes } = JSON.parse(await text(process.stdin));
  const store = createS3Region(options);
  await store.stat('a');
  armFailpoints(point + '=kill');
  await store.put('a/one', Buffer.alloc(sizeBytes, 7));
`;

describe('a half-written upload', () => {
  for (const point of ['region.part-sent', 'region.parts-sent', 'region.completed', 'region.uploaded'])
    test(`killed at ${point}: the object is whole or not there, and removeUnfinished leaves nothing`, async () => {
      const options = await optionsOf();
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
        cwd: join(import.meta.dirname, '../..'),
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      child.stdin.end(JSON.stringify({ options, point, sizeBytes: large.length }));
      const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
      const store = createS3Region({ ...options, endpoint: swift.endpoint });
      const isWhole = point === 'region.completed' || point === 'region.uploaded';
      const expected = Buffer.alloc(large.length, 7);
      assert.deepEqual(await objectsIn(options.bucket), isWhole ? ['a/one'] : []);
      assert.equal(await uploadsIn(options.bucket), isWhole ? 0 : 1);
      // Not one that may still be under way.
      assert.equal(await store.removeUnfinished(new Date(systemClock.now() - 3_600_000)), 0);
      assert.equal(await store.removeUnfinished(new Date(systemClock.now() + 3_600_000)), isWhole ? 0 : 1);
      assert.equal(await uploadsIn(options.bucket), 0);
      assert.equal((await store.put('a/one', expected)).outcome, isWhole ? 'exists' : 'created');
      assert.ok(expected.equals(await read(store, 'a/one')));
    });
});
