import { databaseErrors } from './errors.ts';

/** What is known about a statement's text, worked out once per text and process. */
export interface StatementPlan {
  /** Name of its prepared statement; undefined: not worth one yet. */
  readonly name: string | undefined;
  /** It may leave something in the session that the next lease would meet: the connection is closed after this one. */
  readonly leavesTraces: boolean;
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
/** White space and comments before the first word. */
const leading = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/;

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
    const entry: Entry = { name: undefined, uses: 1, leavesTraces: tracePattern.test(text) };
    const refused = refusedCommands.exec(text.slice(leading.exec(text)![0].length));
    if (refused) throw databaseErrors.FH_DB_STATEMENT_REFUSED({ detail: refused[1]!.toUpperCase() });
    if (entries.size >= limit) entries.delete(entries.keys().next().value!);
    entries.set(text, entry);
    return entry;
  };
}
