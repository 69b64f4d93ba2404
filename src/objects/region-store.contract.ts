import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';

import { randomBytes, waitFor } from '#src/kernel/index.ts';
import type { ObjectInfo, RegionStore } from './index.ts';

export interface OpenedRegion {
  /** Empty. */
  readonly store: RegionStore;
  /** Another store on the same place, as another process would have it. */
  another(): RegionStore;
  close(): Promise<void>;
}

/** What every RegionStore does; run over each implementation. `open` gives an empty region. */
export function testRegionStore(kind: string, open: () => Promise<OpenedRegion>): void {
  const contract = (what: string, check: (region: OpenedRegion) => Promise<void>) =>
    test(`${kind}: ${what}`, async () => {
      const region = await open();
      try {
        await check(region);
      } finally {
        await region.close();
      }
    });

  contract('what was put is got, byte for byte, with its size, hash and time', async ({ store }) => {
    for (const [name, content] of [
      ['wal/clu_1/00000001/0000000000000000', randomBytes(1_000)],
      ['wal/clu_1/00000001/0000000000000001', Buffer.alloc(0)],
      ['large', randomBytes(13 * 1024 * 1024)],
    ] as const) {
      const put = await store.put(name, content);
      assert.deepEqual(put, { outcome: 'created', sizeBytes: content.length, sha256: sha256(content) });
      assert.ok(content.equals(await read(store, name)), name);
      const { createdAt, ...info } = (await store.stat(name))!;
      assert.deepEqual(info, { name, sizeBytes: content.length });
      assert.ok(createdAt.getTime() > 1.7e12);
    }
  });

  contract('streams of any length: none, short, several parts, and in small pieces', async ({ store }) => {
    const content = randomBytes(12 * 1024 * 1024 + 17);
    for (const [name, pieces] of [
      ['none', []],
      ['short', [Buffer.from('a'), Buffer.alloc(0), Buffer.from('b')]],
      ['one_piece', [content]],
      ['many_pieces', cut(content, 64 * 1024)],
    ] as const) {
      const whole = Buffer.concat(pieces);
      const put = await store.put(name, stream(pieces), { expectedBytes: whole.length });
      assert.deepEqual(put, { outcome: 'created', sizeBytes: whole.length, sha256: sha256(whole) });
      assert.ok(whole.equals(await read(store, name)), name);
    }
  });

  contract('a name is given once: the first content stays, small or large', async ({ store, another }) => {
    const small = Buffer.from('second');
    const large = randomBytes(11 * 1024 * 1024);
    await store.put('a/one', Buffer.from('first'));
    for (const content of [small, stream([small]), large, stream(cut(large, 1024 * 1024))]) {
      const put = await another().put('a/one', content);
      assert.equal(put.outcome, 'exists');
      assert.match(put.sha256, /^[0-9a-f]{64}$/);
      assert.ok(put.sizeBytes === small.length || put.sizeBytes === large.length);
    }
    assert.equal(String(await read(store, 'a/one')), 'first');
    assert.equal((await Array.fromAsync(store.list(''))).length, 1);
    assert.equal(await store.removeUnfinished(new Date(8.64e15)), 0);
  });

  contract(
    'of many that put one name at once, one creates it, and its content is there',
    async ({ store, another }) => {
      const contents = Array.from({ length: 6 }, (_, i) => Buffer.from(`content ${i}`));
      const puts = await Promise.all(contents.map((content, i) => (i % 2 ? store : another()).put('a/one', content)));
      const winners = contents.filter((_, i) => puts[i]!.outcome === 'created');
      assert.deepEqual(winners.map(String), [String(await read(store, 'a/one'))]);
    },
  );

  contract('content that fails, at any point, leaves nothing, and its own error comes out', async ({ store }) => {
    for (const goodBytes of [0, 100, 12 * 1024 * 1024]) {
      async function* broken() {
        yield Buffer.alloc(goodBytes);
        throw new Error('source broke');
      }
      await assert.rejects(store.put('a/one', broken()), /^Error: source broke$/);
      assert.equal(await store.get('a/one'), undefined);
      assert.equal(await store.removeUnfinished(new Date(8.64e15)), 0);
    }
  });

  contract('the signal ends a put, also while the content hangs, and nothing stays', async ({ store }) => {
    const cancelled = new Error('cancelled');
    const early = AbortSignal.abort(cancelled);
    await assert.rejects(store.put('a/one', Buffer.from('x'), { signal: early }), cancelled);
    const controller = new AbortController();
    let reached = false;
    async function* hanging() {
      yield randomBytes(6 * 1024 * 1024);
      reached = true;
      await new Promise(() => {});
    }
    const put = store.put('a/one', hanging(), { signal: controller.signal });
    put.catch(() => {});
    await waitFor('the content to hang', () => reached);
    controller.abort(cancelled);
    await assert.rejects(put, cancelled);
    assert.equal(await store.stat('a/one'), undefined);
    assert.equal(await store.removeUnfinished(new Date(8.64e15)), 0);
  });

  contract('parts of an object are got by range', async ({ store }) => {
    await store.put('a/one', Buffer.from('0123456789'));
    for (const [range, expected] of [
      [{ from: 3 }, '3456789'],
      [{ to: 4 }, '0123'],
      [{ from: 2, to: 5 }, '234'],
      [{ from: 8, to: 99 }, '89'],
      [{ from: 10 }, ''],
      [{ from: 99, to: 101 }, ''],
      [{ from: 4, to: 4 }, ''],
    ] as const)
      assert.equal(String(await read(store, 'a/one', range)), expected, JSON.stringify(range));
    assert.equal(await store.get('a/none', { from: 4, to: 4 }), undefined);
    assert.equal(await store.get('a/none', { from: 4 }), undefined);
  });

  contract('a reader that goes away after a few bytes harms nothing', async ({ store }) => {
    const content = randomBytes(12 * 1024 * 1024);
    await store.put('a/one', content);
    for await (const chunk of (await store.get('a/one'))!) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.ok(content.equals(await read(store, 'a/one')));
  });

  contract('what is not there is undefined, and removing it does nothing', async ({ store }) => {
    assert.equal(await store.get('a/none'), undefined);
    assert.equal(await store.stat('a/none'), undefined);
    await store.remove('a/none');
    await store.put('a/one', Buffer.from('x'));
    assert.equal(await store.stat('a'), undefined);
    await store.remove('a/one');
    await store.remove('a/one');
    assert.equal(await store.stat('a/one'), undefined);
    assert.equal((await store.put('a/one', Buffer.from('y'))).outcome, 'created');
  });

  contract('large objects are removed with all their parts', async ({ store }) => {
    await store.put('a/one', randomBytes(11 * 1024 * 1024));
    await store.remove('a/one');
    assert.equal(await store.get('a/one'), undefined);
    assert.deepEqual(await names(store, ''), []);
  });

  contract('lists in order of names, by prefix, after a name, over more than one page', async ({ store }) => {
    const all = ['a/0', 'a/1', 'a/1_', 'a0/b', 'a_/b', 'aa/b/c', 'aa/b/d', 'aa/c', 'b'].concat(
      Array.from({ length: 5 }, (_, i) => `many/${String(i).padStart(4, '0')}`),
    );
    await Promise.all(all.map((name) => store.put(name, Buffer.from(name))));
    const sorted = all.toSorted();
    assert.deepEqual(await names(store, ''), sorted);
    assert.deepEqual(await names(store, 'a/'), ['a/0', 'a/1', 'a/1_']);
    assert.deepEqual(await names(store, 'aa/b/'), ['aa/b/c', 'aa/b/d']);
    assert.deepEqual(await names(store, 'none/'), []);
    for (const after of [...all, 'a/00', 'aa/b', 'zz', 'many/0002x'])
      assert.deepEqual(
        await names(store, '', after),
        sorted.filter((name) => name > after),
        after,
      );
    assert.deepEqual(await names(store, 'many/', 'many/0002'), ['many/0003', 'many/0004']);
    const sizes = (await Array.fromAsync(store.list('aa/b/'))).map((info: ObjectInfo) => info.sizeBytes);
    assert.deepEqual(sizes, [6, 6]);
  });

  contract('names that are no names are refused', async ({ store }) => {
    for (const name of [
      '',
      '/',
      '../a',
      'a/../../b',
      'a//b',
      '/a',
      'a/',
      'A',
      'a\0',
      'a.b',
      'a\\b',
      '.freehold-region',
    ]) {
      await assert.rejects(store.put(name, Buffer.from('x')), TypeError, name);
      await assert.rejects(store.get(name), TypeError, name);
      await assert.rejects(store.stat(name), TypeError, name);
      await assert.rejects(store.remove(name), TypeError, name);
    }
    for (const prefix of ['a', '/', '../', 'a//', '.staging/'])
      await assert.rejects(Array.fromAsync(store.list(prefix)), TypeError, prefix);
  });
}

export async function read(store: RegionStore, name: string, range = {}): Promise<Buffer> {
  const content = await store.get(name, range);
  assert.ok(content, `${name} is not there`);
  return buffer(content);
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

export function cut(content: Buffer, pieceBytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(content.length / pieceBytes) }, (_, i) =>
    content.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  );
}

export async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function names(store: RegionStore, prefix: string, after?: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix, { after }))).map((info) => info.name);
}
