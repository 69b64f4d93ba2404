import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { ObjectInfo, ObjectStore } from './types.ts';

/** What every ObjectStore does; run over each implementation. `open` gives an empty store. */
export function testObjectStore(
  kind: string,
  open: () => Promise<{ store: ObjectStore; close(): Promise<void> }>,
): void {
  const contract = (what: string, check: (store: ObjectStore) => Promise<void>) =>
    test(`${kind}: ${what}`, async () => {
      const { store, close } = await open();
      try {
        await check(store);
      } finally {
        await close();
      }
    });

  contract('a staged object is invisible until it is published, then readable', async (store) => {
    const staged = await store.stage(bytes('hello ', 'world'));
    assert.equal(staged.sizeBytes, 11);
    assert.deepEqual(await all(store.list('a')), []);
    assert.equal(await staged.publish('a/bc/one'), 'created');
    await staged.discard();
    assert.equal(await text(store, 'a/bc/one'), 'hello world');
    assert.equal(await store.has('a/bc/one'), true);
  });

  contract('publishing never replaces', async (store) => {
    const first = await store.stage(bytes('first'));
    const second = await store.stage(bytes('second'));
    assert.equal(await first.publish('a/one'), 'created');
    assert.equal(await second.publish('a/one'), 'exists');
    await Promise.all([first.discard(), second.discard()]);
    assert.equal(await text(store, 'a/one'), 'first');
  });

  contract('of many that publish one name at once, exactly one creates it', async (store) => {
    const staged = await Promise.all(Array.from({ length: 8 }, (_, i) => store.stage(bytes(`${i}`))));
    const outcomes = await Promise.all(staged.map((object) => object.publish('a/one')));
    assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1);
    await Promise.all(staged.map((object) => object.discard()));
  });

  contract('content that fails leaves nothing', async (store) => {
    async function* broken() {
      yield Buffer.from('some');
      throw new Error('client gone');
    }
    await assert.rejects(store.stage(broken()), /client gone/);
    assert.equal(await store.removeStaged(new Date(8.64e15)), 0);
  });

  contract('what is not there is undefined, and removing it does nothing', async (store) => {
    assert.equal(await store.open('a/none'), undefined);
    assert.equal(await store.has('a/none'), false);
    await store.remove('a/none');
  });

  contract('lists by folder and removes one or all', async (store) => {
    const staged = await store.stage(bytes('x'));
    for (const name of ['a/b/1', 'a/c/2', 'aa/b/3']) await staged.publish(name);
    await staged.discard();
    const names = async () => (await all(store.list('a'))).map((info) => info.name).sort();
    assert.deepEqual(await names(), ['a/b/1', 'a/c/2']);
    await store.remove('a/b/1');
    assert.deepEqual(await names(), ['a/c/2']);
    await store.removeAll('a');
    await store.removeAll('a');
    assert.deepEqual(await names(), []);
    assert.equal(await text(store, 'aa/b/3'), 'x');
  });

  contract('left-over staged bytes go, but only old ones', async (store) => {
    await store.stage(bytes('left by a killed process'));
    assert.equal(await store.removeStaged(new Date(0)), 0);
    assert.equal(await store.removeStaged(new Date(8.64e15)), 1);
  });

  contract('names that are no names are refused', async (store) => {
    const staged = await store.stage(bytes('x'));
    for (const name of ['', '/', '../a', 'a/../../b', 'a//b', '/a', 'a/', 'A', 'a\0', 'a.b', 'a\\b', '.staging/x']) {
      await assert.rejects(staged.publish(name), TypeError, name);
      await assert.rejects(store.open(name), TypeError, name);
      await assert.rejects(store.removeAll(name), TypeError, name);
    }
    await staged.discard();
  });
}

async function* bytes(...parts: string[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function all(list: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  return Array.fromAsync(list);
}

async function text(store: ObjectStore, name: string): Promise<string | undefined> {
  const content = await store.open(name);
  return content && (await buffer(content)).toString();
}
