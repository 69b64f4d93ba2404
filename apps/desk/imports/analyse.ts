/** Reads an uploaded file once from beginning to end: is it CSV, how many rows, what is in the columns. */
import type { Readable } from 'node:stream';
import type { ImportColumn } from '../api.ts';
import { importFile } from '../errors.ts';
import { cleanLine } from '../text.ts';
import { type Delimiter, sniffDelimiter } from './delimiter.ts';
import { readRecords } from './records.ts';
import { readText } from './source.ts';

/** All items of an import are made in one transaction, which must end within the 30 s that a transaction may take, on a busy machine, too. */
export const maxRows = 50_000;
const maxColumns = 200;
const maxValues = 30;
const maxValueCharacters = 120;
const sampleRows = 5;
const sampleCharacters = 300;
const sniffCharacters = 64 * 1024;
const dateSamples = 200;

export interface FileAnalysis {
  readonly delimiter: Delimiter;
  readonly rowCount: number;
  readonly columns: ImportColumn[];
  readonly sample: string[][];
  /** First filled cells per column, to guess from. */
  readonly cells: readonly (readonly string[])[];
}

/** @param open opens the file anew; it is read twice, the first time only its beginning */
export async function analyseFile(open: () => Promise<Readable>): Promise<FileAnalysis> {
  const delimiter = sniffDelimiter(await readStart(await open()));
  const records = readRecords(await open(), delimiter);
  const first = await records.next();
  if (first.done) throw importFile('The file is empty.', 'A CSV file begins with a row of column names.');
  const headers = first.value.cells.map(cleanLine);
  if (headers.length > maxColumns) {
    await records.return(undefined);
    throw importFile(`The file has ${headers.length} columns; ${maxColumns} are possible.`);
  }
  const columns = headers.map((header, index) => createColumn(index, header));
  const sample: string[][] = [];
  let rowCount = 0;
  for await (const { cells } of records) {
    rowCount++;
    if (rowCount > maxRows)
      throw importFile(
        `The file has more than ${maxRows.toLocaleString('en')} rows.`,
        'Split it and import the parts one after the other.',
      );
    if (sample.length < sampleRows) sample.push(headers.map((_, index) => cut(cells[index] ?? '', sampleCharacters)));
    for (const column of columns) column.take(cells[column.index] ?? '');
  }
  if (rowCount === 0) throw importFile('The file has no rows below its header.');
  return {
    delimiter,
    rowCount,
    columns: columns.map((column) => column.describe()),
    sample,
    cells: columns.map((column) => column.cells),
  };
}

async function readStart(content: Readable): Promise<string> {
  let start = '';
  for await (const text of readText(content)) {
    start += text;
    if (start.length >= sniffCharacters) break;
  }
  return start;
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : [...text].slice(0, characters).join('');
}

function createColumn(index: number, header: string) {
  const counts = new Map<string, number>();
  const cells: string[] = [];
  let empty = 0;
  let isCounted = true;
  return {
    index,
    cells,
    take(cell: string) {
      const value = cleanLine(cell);
      if (value === '') {
        empty++;
        return;
      }
      if (cells.length < dateSamples) cells.push(value);
      if (!isCounted) return;
      counts.set(value, (counts.get(value) ?? 0) + 1);
      if (counts.size > maxValues || value.length > maxValueCharacters) {
        isCounted = false;
        counts.clear();
      }
    },
    describe(): ImportColumn {
      const values = [...counts].map(([value, count]) => ({ value, count }));
      values.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
      return { index, header: cut(header, maxValueCharacters), values, empty };
    },
  };
}
