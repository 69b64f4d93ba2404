/** Days and times as spreadsheets write them. The order of day and month is told by the person, never guessed per row. */
import type { ImportDateFormat } from '../api.ts';
import { isDay } from '../text.ts';

const timePart = String.raw`(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(Z|[+-]\d{2}:?\d{2})?)?`;
const datePart: Readonly<Record<ImportDateFormat, RegExp>> = {
  iso: new RegExp(String.raw`^(?<y>\d{4})-(?<m>\d{1,2})-(?<d>\d{1,2})${timePart}$`, 'i'),
  ymd: new RegExp(String.raw`^(?<y>\d{4})[./-](?<m>\d{1,2})[./-](?<d>\d{1,2})${timePart}$`, 'i'),
  mdy: new RegExp(String.raw`^(?<m>\d{1,2})[./-](?<d>\d{1,2})[./-](?<y>\d{4}|\d{2})${timePart}$`, 'i'),
  dmy: new RegExp(String.raw`^(?<d>\d{1,2})[./-](?<m>\d{1,2})[./-](?<y>\d{4}|\d{2})${timePart}$`, 'i'),
};

/** Undefined: not a date of this format. Without a zone: UTC. Two-digit years: 00–69 are 2000–2069, others 1970–1999. */
export function parseDate(text: string, format: ImportDateFormat): Date | undefined {
  const match = datePart[format].exec(text.trim());
  if (!match?.groups) return undefined;
  const { y, m, d } = match.groups as { y: string; m: string; d: string };
  const year = y.length === 4 ? y : Number(y) < 70 ? `20${y}` : `19${y}`;
  const day = `${year}-${m.padStart(2, '0')}-${d.padStart(2, '0')}`;
  if (!isDay(day)) return undefined;
  const [hours = '0', minutes = '00', seconds = '00', half, zone] = [4, 5, 6, 7, 8].map((index) => match[index]);
  const hour = half ? toFullDay(Number(hours), half) : Number(hours);
  if (hour === undefined || hour > 23) return undefined;
  const offset = zone && zone.toUpperCase() !== 'Z' ? zone.replace(/^([+-]\d{2}):?/, '$1:') : 'Z';
  const date = new Date(`${day}T${String(hour).padStart(2, '0')}:${minutes}:${seconds}${offset}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function toFullDay(hour: number, half: string): number | undefined {
  if (hour < 1 || hour > 12) return undefined;
  return (hour % 12) + (half.toLowerCase().startsWith('p') ? 12 : 0);
}

/** The format that reads most of these texts; `iso` when none does. */
export function guessDateFormat(samples: readonly string[]): ImportDateFormat {
  const formats: readonly ImportDateFormat[] = ['iso', 'ymd', 'mdy', 'dmy'];
  const readable = formats.map((format) => samples.filter((text) => parseDate(text, format)).length);
  // 1.2.2026 and 1/2/2026 fit both orders of day and month; who writes points means days first.
  if (readable[2] === readable[3] && samples.some((text) => text.includes('.'))) readable[2] = 0;
  const most = Math.max(0, ...readable);
  return most === 0 ? 'iso' : formats[readable.indexOf(most)]!;
}
