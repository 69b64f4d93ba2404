import { databaseErrors } from './errors.ts';

/** What is known about a statement's text, worked out once per text and process. */
export interface StatementPlan {
  /** Name of its prepared statement; undefined: not worth one yet. */
  readonly name: string | undefined;
  /** It may leave something in the session that the next lease would meet: the connection is closed after this one. */
  readonly leavesTraces: boolean;
  /** Outside a transaction block it may end its transaction and begin one that writes. */
  readonly mayCommit: boolean;
}

interface Entry extends StatementPlan {
  name: string | undefined;
  uses: number;
}

/**
 * Statements about the session instead of data. Transactions belong to `transact`; the rest would outlive the lease.
 * (A connection never changes its tenant, so what slips through can reach the same tenant's next request, never another tenant.)
 */
const refusedCommands =
  /^(begin|start|commit|end|abort|rollback(?!\s+to\b)|prepare|deallocate|discard|listen|unlisten|load|reset|copy|set(?!\s+(local|constraints)\b))\b/i;
/** Functions and clauses that keep something in the session, wherever they stand in the text. */
const tracePattern = /\bset_config\b|\bpg_(try_)?advisory_lock|\bwith\s+hold\b|\btemp(orary)?\b|\bsession\b/i;
/** Blocks and procedures may say COMMIT (PostgreSQL manual, PL/pgSQL, "Transaction Management"). */
const blockPattern = /^(do|call)\b/i;

/**
 * Remembers up to `limit` texts, the least recently added forgotten first. A text is prepared from its second use on: then the
 * server parses and plans it once per connection, and a text that never comes back costs no memory there.
 */
export function createStatementTable(limit = 2_000): (text: string) => StatementPlan {
  const entries = new Map<string, Entry>();
  let counter = 0;
  return (text) => {
    const known = entries.get(text);
    if (known) {
      if (++known.uses === 2) known.name = `s${++counter}`;
      return known;
    }
    const command = fromFirstWord(text);
    const entry: Entry = {
      name: undefined,
      uses: 1,
      leavesTraces: tracePattern.test(text),
      mayCommit: blockPattern.test(command),
    };
    const refused = refusedCommands.exec(command);
    if (refused) throw databaseErrors.FH_DB_STATEMENT_REFUSED({ detail: refused[1]!.toUpperCase() });
    if (entries.size >= limit) entries.delete(entries.keys().next().value!);
    entries.set(text, entry);
    return entry;
  };
}

/** Passes over white space, comments, which may be nested, and empty statements, as PostgreSQL does (its scan.l and gram.y). */
function fromFirstWord(text: string): string {
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('--', at)) {
      while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++;
    } else if (text.startsWith('/*', at)) {
      at = endOfComment(text, at);
    } else if (/[\s;]/.test(text[at]!)) {
      at++;
    } else {
      break;
    }
  }
  return text.slice(at);
}

function endOfComment(text: string, start: number): number {
  let at = start;
  let depth = 0;
  while (at < text.length) {
    if (text.startsWith('/*', at)) depth++;
    else if (text.startsWith('*/', at)) depth--;
    else {
      at++;
      continue;
    }
    at += 2;
    if (depth === 0) return at;
  }
  return at;
}
