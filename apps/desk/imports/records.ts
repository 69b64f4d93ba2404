/** The records of a CSV file, one by one, with the line each begins in. Memory is bounded by the largest record. */
import { pipeline, Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { importFile } from '../errors.ts';
import type { Delimiter } from './delimiter.ts';
import { readText } from './source.ts';

/** One record in bytes. Above it, a quote was most likely never closed. */
const maxRecordBytes = 2 * 1024 * 1024;

export interface CsvRecord {
  /** Line of the file where it begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** Blank lines are left out. Throws DESK_IMPORT_FILE when the quoting is broken. */
export async function* readRecords(content: Readable, delimiter: Delimiter): AsyncGenerator<CsvRecord> {
  // The parser runs ahead of the reader, and an error drops what waits in between: where it stands is counted at its end.
  let parsedLines = 0;
  const parser = parse({
    delimiter,
    // Line ends are line feeds here, see source.ts.
    record_delimiter: '\n',
    // Rows of another length are refused one by one, not the file.
    relax_column_count: true,
    max_record_size: maxRecordBytes,
    info: true,
    on_record(record: string[], { lines }) {
      parsedLines = lines;
      return record;
    },
  });
  // Hands an error of the source on to whoever reads the parser, and closes both when the reader stops.
  pipeline(Readable.from(readText(content)), parser, () => {});
  let line = 1;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (record.length > 1 || record[0]!.trim() !== '') yield { line, cells: record };
      line = info.lines + 1;
    }
  } catch (error) {
    if (error instanceof CsvError)
      throw importFile(`${describe(error.code)} The record begins in line ${parsedLines + 1}.`);
    throw error;
  }
}

function describe(code: string): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED' || code === 'CSV_MAX_RECORD_SIZE')
    return 'The file is not valid CSV: a quotation mark is never closed.';
  if (code === 'CSV_INVALID_CLOSING_QUOTE') return 'The file is not valid CSV: text follows a closing quotation mark.';
  if (code === 'INVALID_OPENING_QUOTE')
    return 'The file is not valid CSV: a quotation mark stands inside a cell that does not begin with one.';
  return 'The file is not valid CSV.';
}
