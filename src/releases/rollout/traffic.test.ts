import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { bucketCount, bucketOf, complaintOf, createTrafficBook, quantile } from './traffic.ts';

const tenantId = newId('ten');
function booked(version: string, answers: { requests: number; errors?: number; durationMs: number }) {
  const book = createTrafficBook();
  const { requests, errors = 0, durationMs } = answers;
  book.add({ tenantId, version, requests, errors, durationsMs: Array(Math.min(500, requests)).fill(durationMs) });
  return book.of(tenantId, version);
}

test('a complaint needs enough requests, and more errors or time than before', () => {
  const usual = booked('1', { requests: 200, durationMs: 20 });
  const flaky = booked('1', { requests: 200, errors: 20, durationMs: 20 });
  const complaints = [
    [undefined, usual],
    [booked('2', { requests: 4, errors: 4, durationMs: 9 }), usual],
    [booked('2', { requests: 200, errors: 9, durationMs: 20 }), usual],
    [booked('2', { requests: 200, errors: 11, durationMs: 20 }), usual],
    [booked('2', { requests: 200, errors: 30, durationMs: 20 }), flaky],
    [booked('2', { requests: 200, errors: 50, durationMs: 20 }), flaky],
    [booked('2', { requests: 10, errors: 5, durationMs: 20 }), undefined],
    [booked('2', { requests: 200, durationMs: 60 }), usual],
    [booked('2', { requests: 200, durationMs: 400 }), usual],
    [booked('2', { requests: 19, durationMs: 400 }), usual],
    [booked('2', { requests: 200, durationMs: 400 }), undefined],
  ].map(([now, before]) => complaintOf(now, before));
  assert.deepEqual(
    complaints.map((complaint) => complaint?.replace(/ .*/, '')),
    [undefined, undefined, undefined, '11', undefined, '50', '5', undefined, '95', undefined, undefined],
  );
});

test('counts add up over gateways, per tenant and version, and only the last two versions are kept', () => {
  const book = createTrafficBook(2);
  const report = { requests: 2, errors: 1, durationsMs: [1, 1_000] };
  const other = newId('ten');
  for (let gateway = 0; gateway < 2; gateway++) book.add({ tenantId, version: '1', ...report });
  book.add({ tenantId: other, version: '1', ...report });
  assert.deepEqual([book.of(tenantId, '1')?.requests, book.of(tenantId, '1')?.errors], [4, 2]);
  assert.deepEqual(book.of(other, '1')?.requests, 2);
  book.add({ tenantId, version: '2', ...report });
  book.add({ tenantId, version: '3', ...report });
  assert.deepEqual([book.of(tenantId, '1'), book.of(tenantId, '2')?.requests], [undefined, 2]);
  book.add({ tenantId: newId('ten'), version: '1', ...report });
  assert.equal(book.of(other, '1'), undefined, 'who was not heard of for longest is forgotten');
  assert.ok(quantile(book.of(tenantId, '3')!, 0.95) >= 1_000);
  assert.deepEqual([bucketOf(0), bucketOf(1), bucketOf(4), bucketOf(1e12)], [0, 0, 4, bucketCount - 1]);
});
