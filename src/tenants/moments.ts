import { isId, parseLsn } from '#src/kernel/index.ts';
import { tenantErrors } from './errors.ts';
import type { RestoreEvent, RestoreMoment } from './types.ts';

/**
 * Checks the moment that somebody wants to go back to. Throws FH_RESTORE_MOMENT_INVALID on one that is none, that has no time zone, or that has
 * not been yet: whoever types one of these means something else, and a restore takes minutes.
 * @param nowMs the installation's clock
 */
export function parseMoment(input: unknown, nowMs: number): RestoreMoment {
  const { kind, ...given } = (input ?? {}) as Record<string, unknown>;
  switch (kind) {
    case 'time':
      return { kind, time: parseTime(given.time, nowMs) };
    case 'name':
      if (typeof given.name !== 'string' || given.name === '' || Buffer.byteLength(given.name) > 63)
        throw invalid('a restore point has a name of 1 to 63 bytes');
      return { kind, name: given.name, after: parseTime(given.after, nowMs) };
    case 'xid':
      if (typeof given.xid !== 'string' || !/^[1-9]\d{0,9}$/.test(given.xid))
        throw invalid('a transaction id is a number, as pg_current_xact_id() shows it');
      return { kind, xid: given.xid, after: parseTime(given.after, nowMs) };
    case 'lsn':
      return { kind, lsn: parsePlace(given.lsn) };
    case 'before':
      return {
        kind,
        event: parseEvent(given.event),
        at: parseTime(given.at, nowMs),
        ...(given.lsn !== undefined && { lsn: parsePlace(given.lsn) }),
        ...(typeof given.timeline === 'number' && { timeline: given.timeline }),
      };
    default:
      throw invalid('it is a time, a restore point, a transaction, an LSN, or before something');
  }
}

export function parseEvent(input: unknown): RestoreEvent {
  if (input === 'delete' || input === 'rename') return input;
  if (typeof input === 'string' && isId('opr', input)) return input;
  throw invalid('before what: delete, rename, or the id of an operation');
}

function parseTime(input: unknown, nowMs: number): string {
  // Without a zone it would mean another moment on the operator's machine than here.
  if (typeof input !== 'string' || !/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(input))
    throw invalid(`${JSON.stringify(input ?? '')} is not a time with a time zone`);
  const time = Date.parse(input.replace(' ', 'T'));
  if (!Number.isFinite(time)) throw invalid(`${input} is not in the calendar`);
  if (time > nowMs) throw invalid(`${input} has not been yet`);
  return new Date(time).toISOString();
}

function parsePlace(input: unknown): string {
  try {
    parseLsn(String(input));
    return String(input).toUpperCase();
  } catch {
    throw invalid('an LSN looks like 16/B374D848');
  }
}

function invalid(detail: string) {
  return tenantErrors.FH_RESTORE_MOMENT_INVALID({ detail });
}
