import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration, formatPlural, formatRelative } from './format.ts';

test('moments are told in the largest unit that is still exact enough', () => {
  const now = new Date('2026-11-21T12:00:00Z');
  const after = (seconds: number) => formatRelative(new Date(now.getTime() + seconds * 1000), now);
  const hour = 3_600;
  const day = 24 * hour;
  const table: readonly (readonly [number, string])[] = [
    [-3, 'just now'],
    [-30, '30 seconds ago'],
    [-59.7, '1 minute ago'],
    [-59.6 * 60, '1 hour ago'],
    [2 * hour, 'in 2 hours'],
    [-day, 'yesterday'],
    [7 * day - 2, 'in 7 days'],
    [-20 * day, '3 weeks ago'],
    [-100 * day, '3 months ago'],
    [-800 * day, '12 Sept 2024'],
  ];
  for (const [seconds, words] of table) assert.equal(after(seconds), words);
});

test('figures have units', () => {
  assert.deepEqual([0, 812, 999.6, 8_123_456, 99_960_000, 2e12].map(formatBytes), [
    '0 B',
    '812 B',
    '1.0 kB',
    '8.1 MB',
    '100 MB',
    '2.0 TB',
  ]);
  assert.deepEqual([42, 1_440, 59_990, 200_000, 7_500_000].map(formatDuration), [
    '42 ms',
    '1.4 s',
    '1 min 0 s',
    '3 min 20 s',
    '2 h 5 min',
  ]);
  assert.equal(formatPlural(1, 'tenant'), '1 tenant');
  assert.equal(formatPlural(2_000, 'tenant'), '2,000 tenants');
});
