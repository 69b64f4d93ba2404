import { CommanderError } from 'commander';
import { FreeholdError, toFreeholdError } from '#src/kernel/index.ts';
import type { Streams } from './context.ts';
import { UsageError } from './errors.ts';
import { plain } from './format.ts';

/** Says what happened, why, and what to type next. @returns the exit code: 1, or 2 for a command line that makes no sense */
export function printError(streams: Streams, thrown: unknown, json: boolean, command = ''): number {
  if (thrown instanceof CommanderError) {
    // Help and version are no errors.
    if (thrown.exitCode === 0) return 0;
    const title = thrown.message.replace(/^error: /, '');
    return write(
      streams,
      json,
      { code: 'FH_USAGE', title, hint: `See: ./freehold ${command ? `${command} ` : ''}--help` },
      2,
    );
  }
  if (thrown instanceof UsageError) {
    return write(streams, json, { code: 'FH_USAGE', title: thrown.message, hint: thrown.hint }, 2);
  }
  const { code, title, detail, hint } = toFreeholdError(thrown);
  const unexpected = thrown instanceof FreeholdError ? undefined : String((thrown as Error)?.message ?? thrown);
  return write(streams, json, { code, title, detail: detail ?? unexpected, hint }, 1);
}

interface Shown {
  readonly code: string;
  readonly title: string;
  readonly detail?: string;
  readonly hint?: string;
}

function write({ stderr }: Streams, json: boolean, error: Shown, exitCode: number): number {
  if (json) {
    stderr.write(`${JSON.stringify({ error })}\n`);
  } else {
    // A detail may be a list as well.
    const [first, ...more] = error.detail?.includes('\n') ? ['', ...error.detail.split('\n')] : [error.detail];
    const what = first ? `${error.title}: ${first}` : error.title;
    // A hint may be a list, one line each.
    const hint = error.hint?.split('\n').map((line) => `  ${plain(line)}`) ?? [];
    const list = more.map((line) => `  ${plain(line)}`);
    const end = list.length > 0 ? ':' : '.';
    stderr.write(`${[`freehold: ${plain(what).replace(/\.$/, '')}${end}`, ...list, ...hint].join('\n')}\n`);
  }
  return exitCode;
}
