import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCsvRow } from '../csv.ts';
import { guessDateFormat, parseDate } from '../imports/dates.ts';
import { sniffDelimiter } from '../imports/delimiter.ts';
import { type CsvRecord, readRecords } from '../imports/records.ts';
import { describeTag, normaliseTag } from '../tags.ts';
import { characterCount, cleanLine, cleanMarkdown, isDay } from '../text.ts';

async function recordsOf(csv: string, chunkBytes = 7): Promise<CsvRecord[]> {
  const bytes = Buffer.from(csv);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
  return Array.fromAsync(readRecords(Readable.from(chunks), ','));
}

test('records know the line they begin in, however the file is cut into chunks', async () => {
  const csv = 'a,b\r\n1,"x\r\ny"\r\n\r\n2,"é ""q"" 𝒳"\n"3\n\n",z\r4,5';
  for (const chunkBytes of [1, 2, 3, 5, 1_000]) {
    assert.deepEqual(await recordsOf(csv, chunkBytes), [
      { line: 1, cells: ['a', 'b'] },
      { line: 2, cells: ['1', 'x\ny'] },
      { line: 5, cells: ['2', 'é "q" 𝒳'] },
      { line: 6, cells: ['3\n\n', 'z'] },
      { line: 9, cells: ['4', '5'] },
    ]);
  }
});

test('what is written as CSV is read as it was, but for formulas', async () => {
  const cell = fc.string({ unit: 'grapheme' }).map((text) => `x${cleanMarkdown(text)}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      async (rows) => {
        const read = await recordsOf(rows.map((row) => formatCsvRow(row)).join(''), 3);
        assert.deepEqual(
          read.map(({ cells }) => cells),
          rows,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('no cell begins a formula', () => {
  for (const text of ['=1+1', '+1', '-1', '@x', '\t=1', ' =1', '\r=1', '＝1', '\n\n@x'])
    assert.match(formatCsvRow([text]), /^"?'/, JSON.stringify(text));
  assert.equal(formatCsvRow(['a-b', 'x=1', -5, null]), 'a-b,x=1,-5,\r\n');
});

test('the delimiter is found, whatever is in quotes', () => {
  assert.equal(sniffDelimiter('a,b,c\n1,2,3\n'), ',');
  assert.equal(sniffDelimiter('a;b\n"1,5";"x,y,z"\n2,5;x\n'), ';');
  assert.equal(sniffDelimiter('a\tb\n1, 2\t3\n'), '\t');
  assert.equal(sniffDelimiter('a|b|c\n1|2,2|3\n'), '|');
  assert.equal(sniffDelimiter('only one column\nvalue\n'), ',');
  assert.equal(sniffDelimiter('Title;Text\nx;"many\nlines, with; signs"\n'), ';');
});

test('dates are read in the given order and nothing else', () => {
  const read = (text: string, format: Parameters<typeof parseDate>[1]) => parseDate(text, format)?.toISOString();
  assert.equal(read('6/1/23 12:15', 'mdy'), '2023-06-01T12:15:00.000Z');
  assert.equal(read('06/01/2023', 'dmy'), '2023-01-06T00:00:00.000Z');
  assert.equal(read('1.6.2023 7:05', 'dmy'), '2023-06-01T07:05:00.000Z');
  assert.equal(read('2023-06-01T12:15:30.5+02:00', 'iso'), '2023-06-01T10:15:30.000Z');
  assert.equal(read('2023/6/1', 'ymd'), '2023-06-01T00:00:00.000Z');
  assert.equal(read('12/31/99 11:59 pm', 'mdy'), '1999-12-31T23:59:00.000Z');
  for (const [text, format] of [
    ['31/12/2023', 'mdy'],
    ['2/30/2023', 'mdy'],
    ['tomorrow', 'iso'],
    ['2023-06-01 25:00', 'iso'],
    ['2023-06-01 12:60', 'iso'],
    ['13/1/2023 13:00 pm', 'dmy'],
    ['', 'iso'],
  ] as const)
    assert.equal(read(text, format), undefined, `${text} as ${format}`);
  assert.equal(guessDateFormat(['6/1/23', '6/25/23']), 'mdy');
  assert.equal(guessDateFormat(['1.6.2023', '2.6.2023']), 'dmy');
  assert.equal(guessDateFormat(['2023-06-01']), 'iso');
  assert.equal(guessDateFormat(['soon']), 'iso');
});

test('text is cleaned without losing what was meant', () => {
  assert.equal(cleanLine(' a\r\n\tb\u2028c\u0000 '), 'a b c');
  assert.equal(cleanMarkdown('    code\r\n\u0002x\u0000\n\n'), '    code\nx');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(characterCount(text), [...text].length);
      assert.equal(cleanLine(cleanLine(text)), cleanLine(text));
    }),
  );
  assert.ok(isDay('2024-02-29') && !isDay('2023-02-29') && !isDay('2023-2-1') && !isDay('0001-01-01'));
});

test('tags are one spelling and one colour', () => {
  assert.equal(normaliseTag('  ##Third,  Floor '), 'third floor');
  assert.equal(normaliseTag(' , '), '');
  assert.deepEqual(describeTag('hardware'), describeTag('hardware'));
  // Must never change: people know their tags by colour.
  assert.deepEqual(
    ['bug', 'hardware', 'vpn', 'third floor'].map((name) => describeTag(name).color),
    [1, 5, 7, 8],
  );
});
