/** Cleans what people typed before it is stored. Markdown stays raw: the page renders it safely. */
import { badInput } from './errors.ts';

/** Controls but tab and line feed. PostgreSQL refuses NUL, and search results mark their hits with two of the others. */
const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** One line: controls and line breaks become blanks, runs of blanks one, none outside; Unicode NFC so that equal looks are equal. */
export function cleanLine(text: string): string {
  return text
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\s]+/gu, ' ')
    .trim();
}

/** Many lines: line feeds only, no other controls, nothing at the end. Leading blanks mean something in Markdown and stay. */
export function cleanMarkdown(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, '\n').replace(controls, '').trimEnd();
}

/** PostgreSQL counts code points, JavaScript UTF-16 units. */
export function characterCount(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd800 && unit <= 0xdbff && index + 1 < text.length) {
      const next = text.charCodeAt(index + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        count--;
        index++;
      }
    }
  }
  return count;
}

export function requireLine(field: string, text: string, maxCharacters: number): string {
  const line = cleanLine(text);
  if (line === '') throw badInput(field, 'must not be empty');
  if (characterCount(line) > maxCharacters) throw badInput(field, `has more than ${maxCharacters} characters`);
  return line;
}

export function requireMarkdown(field: string, text: string, maxCharacters: number): string {
  const markdown = cleanMarkdown(text);
  if (characterCount(markdown) > maxCharacters) throw badInput(field, `has more than ${maxCharacters} characters`);
  return markdown;
}

export function isDay(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match || text < '1900-01-01' || text > '2999-12-31') return false;
  const date = new Date(`${text}T00:00:00Z`);
  // Date rolls 31 February over into March.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

export function requireDay(field: string, text: string): string {
  if (!isDay(text)) throw badInput(field, 'is not a day like 2026-03-31');
  return text;
}
