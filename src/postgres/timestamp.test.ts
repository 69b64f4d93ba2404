import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { parseTimestamp } from './timestamp.ts';

const parseAny = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ, 'text');

test('every time is read as the driver reads it', () => {
  const examples = [
    '2026-11-22 01:02:03+00',
    '2026-11-22 01:02:03.4+00',
    '2026-11-22 01:02:03.456789+00',
    '2026-11-22 01:02:03.000001+00',
    '1999-12-31 23:59:59.999999+00',
    '2026-11-22 01:02:03+01',
    '2026-11-22 01:02:03.5+05:30',
    '2026-11-22 01:02:03-00:00:30',
    '0044-03-15 12:00:00+00 BC',
    '0001-01-01 00:00:00+00',
    '0099-01-01 00:00:00+00',
    '12026-01-01 00:00:00+00',
    'infinity',
    '-infinity',
  ];
  for (const text of examples) assert.deepEqual(parseTimestamp(text), parseAny(text), text);
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
      fc.integer({ min: 0, max: 6 }),
      (date, digits) => {
        const iso = date.toISOString();
        const fraction = digits === 0 ? '' : `.${`${iso.slice(20, 23)}987`.slice(0, digits)}`;
        const text = `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction}+00`;
        assert.deepEqual(parseTimestamp(text), parseAny(text), text);
      },
    ),
  );
});
