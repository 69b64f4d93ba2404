import type { RecordedEvent } from './log.ts';

export const exportFormats = ['csv', 'jsonl'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** An event with the names of those it speaks of, as they are called now. */
export interface NamedEvent extends RecordedEvent {
  readonly actorName: string | null;
  readonly subjectName: string | null;
}

const columns = [
  'recordedAt',
  'name',
  'meaning',
  'actor',
  'actorName',
  'subject',
  'subjectName',
  'address',
  'details',
  'eventId',
] as const;

/** The first line of a file; JSON lines have none. */
export function exportHead(format: ExportFormat): string {
  return format === 'csv' ? `${columns.join(',')}\r\n` : '';
}

/** One line. CSV: RFC 4180, every field quoted. */
export function exportLine(format: ExportFormat, event: NamedEvent): string {
  const { eventId, recordedAt, name, meaning, actor, actorName, subject, subjectName, address = null, details } = event;
  const shown = {
    recordedAt: recordedAt.toISOString(),
    name,
    meaning,
    actor,
    actorName,
    subject,
    subjectName,
    address,
  };
  if (format === 'jsonl') return `${JSON.stringify({ ...shown, details, eventId })}\n`;
  const fields = { ...shown, details: JSON.stringify(details), eventId };
  return `${columns.map((column) => csvField(fields[column] ?? '')).join(',')}\r\n`;
}

/**
 * A field that a spreadsheet takes for text: what it would read as a formula begins with an apostrophe (OWASP, CSV Injection). People choose their
 * own names, so this is where a formula would come from.
 */
export function csvField(text: string): string {
  const harmless = /^[\s\p{Cc}]*[=+\-@＝＋－＠]|^[\t\r\n]/u.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
