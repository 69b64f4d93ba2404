import { failpoint } from '#src/kernel/index.ts';
import {
  quoteIdentifier as id,
  quoteLiteral as literal,
  newPassword,
  type Pool,
  scramVerifier,
} from '#src/postgres/index.ts';
import { databaseErrors } from './errors.ts';
import { rolesOf } from './names.ts';
import { existingRoles, readerRoleSql, serverTime } from './sql.ts';
import type { DatabaseReader } from './types.ts';

/** What a kill left behind lets nobody in after this, nor before: its password was in that process alone. */
const validForMs = 24 * 60 * 60_000;

interface Held {
  readonly password: string;
  users: number;
}

/**
 * Logins for control's own reading of databases that are closed. Of each database there is one at most, whoever asks for it shares it, and the last one takes it
 * away. Closing or dropping the database ends it.
 */
export function createReaders({
  pool,
  runStatements,
}: {
  readonly pool: Pool;
  readonly runStatements: (statements: readonly string[]) => Promise<void>;
}): (name: string) => Promise<DatabaseReader> {
  const held = new Map<string, Held>();
  const turns = new Map<string, Promise<void>>();

  /** Making and taking away of one database's login, one after the other. */
  function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const result = (turns.get(name) ?? Promise.resolve()).then(work);
    const ended = result.then(
      () => {},
      () => {},
    );
    turns.set(name, ended);
    void ended.then(() => {
      if (turns.get(name) === ended) turns.delete(name);
    });
    return result;
  }

  async function make(name: string): Promise<Held> {
    const roles = rolesOf(name);
    const existing = await existingRoles(pool, [roles.platform, roles.reader]);
    if (!existing.has(roles.platform)) throw databaseErrors.FH_DB_NOT_FOUND({ detail: name });
    const password = newPassword();
    const until = new Date((await serverTime(pool)).getTime() + validForMs).toISOString();
    const login = `LOGIN PASSWORD ${literal(scramVerifier(password))} VALID UNTIL ${literal(until)}`;
    await runStatements(readerRoleSql(roles, login, existing.has(roles.reader)));
    await failpoint('databases.reader.made');
    return { password, users: 0 };
  }

  return (name) =>
    inTurn(name, async () => {
      const { reader } = rolesOf(name);
      const found = held.get(name) ?? (await make(name));
      held.set(name, found);
      found.users++;
      let isOpen = true;
      return {
        user: reader,
        password: found.password,
        close: () =>
          inTurn(name, async () => {
            if (!isOpen) return;
            isOpen = false;
            found.users--;
            if (found.users > 0) return;
            held.delete(name);
            await runStatements([`DROP ROLE IF EXISTS ${id(reader)}`]);
          }),
      };
    });
}
