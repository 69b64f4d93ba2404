import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLsn, lsnName, parseLsn, segmentFileName, segmentStart, timelineName, walSegmentBytes } from './lsn.ts';

test('places in the WAL are read and printed as PostgreSQL does', () => {
  for (const text of ['0/0', '0/1000028', '16/B374D848', 'FFFFFFFF/FFFFFFFF'])
    assert.equal(formatLsn(parseLsn(text)), text);
  assert.equal(parseLsn('1/0'), 0x100000000n);
  for (const text of ['', '1', '1/', '/1', '1/123456789', 'g/1', '1/1 ', '-1/1'])
    assert.throws(() => parseLsn(text), TypeError, text);
});

test('names sort as places do, and segments are named as in pg_wal', () => {
  assert.equal(lsnName(parseLsn('16/B374D848')), '00000016b374d848');
  assert.equal(segmentStart(parseLsn('0/1FFFFFF')), walSegmentBytes);
  assert.equal(segmentFileName(1, parseLsn('0/1000028')), '000000010000000000000001');
  assert.equal(segmentFileName(0x2a, parseLsn('16/B374D848')), '0000002A00000016000000B3');
  assert.equal(timelineName(0x2a), '0000002a');
});
