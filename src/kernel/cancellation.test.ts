import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from './index.ts';

test('listeners are told once, late ones not at all, removed ones not either', () => {
  const cancellation = new Cancellation();
  const told: string[] = [];
  const removed = () => void told.push('removed');
  cancellation.addEventListener('abort', () => told.push('first'));
  cancellation.addEventListener('abort', removed);
  cancellation.addEventListener('abort', () => told.push('second'));
  cancellation.removeEventListener('abort', removed);
  assert.equal(cancellation.aborted, false);
  cancellation.abort('because');
  cancellation.abort('again');
  cancellation.addEventListener('abort', () => told.push('late'));
  assert.deepEqual(told, ['first', 'second']);
  assert.equal(cancellation.aborted, true);
  assert.equal(cancellation.reason, 'because');
});

test('a reason is made when it is asked for, and once', () => {
  let made = 0;
  const cancellation = new Cancellation();
  cancellation.abort(() => new Error(`reason ${++made}`));
  assert.equal(made, 0);
  assert.equal(cancellation.reason, cancellation.reason);
  assert.equal(made, 1);
});

test('it follows its parent, an AbortSignal as well, and lets go of it', () => {
  const parent = new Cancellation();
  const child = new Cancellation(parent);
  const grandchild = new Cancellation(child.signal);
  parent.abort('over');
  assert.deepEqual([child.reason, grandchild.reason], ['over', 'over']);
  assert.equal(new Cancellation(parent).reason, 'over');

  const alive = new Cancellation();
  const ended = new Cancellation(alive);
  ended.abort('done');
  alive.abort('later');
  assert.equal(ended.reason, 'done');
});

test('the AbortSignal says the same, whenever it is asked for', () => {
  for (const early of [true, false]) {
    const cancellation = new Cancellation();
    const before = early ? cancellation.signal : undefined;
    cancellation.abort(() => 'why');
    assert.equal(cancellation.signal.aborted, true);
    assert.equal(cancellation.signal.reason, 'why');
    if (early) assert.equal(cancellation.signal, before);
  }
});
