import { pino } from 'pino';
import { redact } from './redaction.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Structured log: one JSON line per event. `error` means that a person must look. Fields are redacted before they are written. */
export interface Log {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
  child(fields: object): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** File descriptor that receives the lines; default 2 (standard error), because standard output belongs to the command. */
  readonly fd?: number;
  /** Fields on every line, for example the role of the process. */
  readonly base?: object;
}

/** Lines that cannot be written wait in memory up to this many characters; what comes then is dropped. */
const longestBacklog = 1024 * 1024;

export function createLog({ level, fd = 2, base = {} }: LogOptions): Log {
  const destination = pino.destination({ fd, sync: true, maxLength: longestBacklog });
  // The disk of the log is full: a line that cannot be written must not end the process that would have written it.
  destination.on('error', () => {});
  const sink = pino(
    { level, base: base as Record<string, unknown>, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
  return wrap(sink);
}

/** A log that drops everything; for tests that do not look at it. */
export const silentLog: Log = createLog({ level: 'silent' });

function wrap(sink: import('pino').Logger): Log {
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: object) => {
    if (sink.isLevelEnabled(level)) sink[level](fields ? (redact(fields) as object) : {}, redact(message) as string);
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(sink.child(redact(fields) as object)),
  };
}
