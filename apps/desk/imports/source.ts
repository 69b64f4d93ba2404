/** The bytes of an uploaded file as text: strict UTF-8 without BOM, line feeds only. Anything else is refused with its line. */
import type { Readable } from 'node:stream';
import { importFile } from '../errors.ts';

const hint = 'Save the file as "CSV UTF-8" and upload it again.';

export async function* readText(content: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  let first = true;
  // A CR at the end of a chunk waits for its LF.
  let carry = '';
  for await (const chunk of content as AsyncIterable<Buffer>) {
    if (first) refuseOtherEncodings(chunk);
    let text: string;
    try {
      text = carry + decoder.decode(chunk, { stream: true });
    } catch {
      throw importFile(`The file is not UTF-8 text: line ${line + lineOfFirstFault(chunk)} cannot be read.`, hint);
    }
    carry = '';
    first = false;
    if (text.endsWith('\r')) {
      carry = '\r';
      text = text.slice(0, -1);
    }
    if (text.includes('\u0000')) throw importFile('The file is not text: it contains zero bytes.', hint);
    text = text.replace(/\r\n?/g, '\n');
    line += countLines(text);
    if (text !== '') yield text;
  }
  try {
    const end = carry + decoder.decode();
    if (end !== '') yield end.replace(/\r\n?/g, '\n');
  } catch {
    throw importFile(`The file is not UTF-8 text: it ends inside a character in line ${line}.`, hint);
  }
}

function refuseOtherEncodings(start: Buffer): void {
  if (start.length < 2) return;
  const mark = start.readUInt16BE(0);
  if (mark === 0xfeff || mark === 0xfffe) throw importFile('The file is UTF-16 text; UTF-8 is needed.', hint);
  if (mark === 0x504b)
    throw importFile('The file is a spreadsheet or ZIP archive, not CSV.', 'Export the sheet as "CSV UTF-8".');
}

function lineOfFirstFault(chunk: Buffer): number {
  const lossy = chunk.toString('utf8');
  return countLines(lossy.slice(0, Math.max(0, lossy.indexOf('\ufffd'))));
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
