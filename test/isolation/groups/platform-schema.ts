/**
 * Inside one tenant's database: what the app's own code, with the app's role, could make of schema `freehold`, where users, password hashes and
 * sessions are. An app is part of the product, and yet a flaw in it must not become somebody's session.
 */
import type { Connection } from '#src/postgres/types.ts';
import type { World } from '../world.ts';
import { stateOf } from './database.ts';

export async function probePlatformSchema(world: World): Promise<void> {
  const { internals, b } = world;
  const app = await internals.connect(b.tenantId, 'app');
  const platform = await internals.connect(b.tenantId, 'platform');
  try {
    await probeTables(world, app, platform);
    await probeCheckSession(world, app, platform);
    await probeReplacedKeys(world, app, platform);
    await probeCheckToken(world, app, platform);
    await probeSearchPath(world, platform);
  } finally {
    await app.close();
    await platform.close();
  }
}

async function probeTables({ report, internals, b }: World, app: Connection, platform: Connection): Promise<void> {
  const { platform: login } = await internals.accessOf(b.tenantId);
  const tables = await platform.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'freehold'`,
  );
  report.check('there are tables of the platform', tables.length >= 7, String(tables.length));
  for (const { name } of tables) {
    for (const text of [
      `SELECT count(*) FROM freehold.${name}`,
      `DELETE FROM freehold.${name}`,
      `CREATE VIEW app.peek AS SELECT * FROM freehold.${name}; SELECT * FROM app.peek`,
      `ALTER TABLE freehold.${name} OWNER TO CURRENT_USER`,
      `CREATE TRIGGER t AFTER INSERT ON freehold.${name} EXECUTE FUNCTION app.refuse_history_change()`,
    ]) {
      const state = await stateOf(app, text.split(';')[0]!);
      // A view may be made of what may not be read; reading it is refused.
      const isRefused =
        state === '42501' || (text.startsWith('CREATE VIEW') && (await peekState(app, text)) === '42501');
      report.check(`the app cannot: ${text.slice(0, 30)}…`, isRefused, `${text}: ${state}`);
    }
  }
  for (const text of [
    `SET ROLE "${login.user}"`,
    `GRANT "${login.user}" TO CURRENT_USER`,
    `ALTER ROLE "${login.user}" PASSWORD 'x'`,
    'CREATE TABLE freehold.x (y int)',
    'ALTER FUNCTION freehold.check_session(bytea) RESET ALL',
    'SELECT freehold.refuse_change()',
    'DROP SCHEMA freehold CASCADE',
    'ALTER DEFAULT PRIVILEGES FOR ROLE freehold_control GRANT SELECT ON TABLES TO PUBLIC',
  ]) {
    const state = await stateOf(app, text);
    report.check(`the app cannot: ${text.slice(0, 40)}`, state === '42501' || state === '0A000', `${text}: ${state}`);
  }
  const functions = await platform.query<{ name: string; may: boolean }>(
    `SELECT p.oid::regprocedure::text AS name, has_function_privilege($1, p.oid, 'EXECUTE') AS may
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'freehold'`,
    [login.user.replace(/_p$/, '')],
  );
  for (const { name, may } of functions) {
    const isMeant = /^(?:freehold\.)?(?:check_session|is_session_live|check_token|is_token_live)\(/.test(name);
    report.check('the app may call four functions', may === isMeant, name);
  }
}

async function peekState(app: Connection, text: string): Promise<string | undefined> {
  const [make, read] = text.split(';');
  await app.run('BEGIN READ WRITE');
  try {
    await app.run(make!);
    await app.run(read!);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await app.run('ROLLBACK');
  }
}

/** Nobody is a row of nulls. */
const checked = 'SELECT user_id FROM freehold.check_session($1) WHERE user_id IS NOT NULL';

/** Each rule of the function by itself: sessions are made that break exactly one. */
async function probeCheckSession({ report, b }: World, app: Connection, platform: Connection): Promise<void> {
  const user = b.people.member.userId;
  const rules: Readonly<Record<string, { columns: string; disabled?: boolean; good?: boolean }>> = {
    'good in every way': { columns: `epoch, now() + '1 h', now() + '1 h'`, good: true },
    'begun before the user changed': { columns: `epoch - 1, now() + '1 h', now() + '1 h'` },
    'over its time': { columns: `epoch, now() - '1 s'::interval, now() + '1 h'` },
    'idle too long': { columns: `epoch, now() + '1 h', now() - '1 s'::interval` },
    'of a disabled user': { columns: `epoch, now() + '1 h', now() + '1 h'`, disabled: true },
  };
  let at = 0;
  for (const [what, { columns, disabled = false, good = false }] of Object.entries(rules)) {
    const hash = Buffer.alloc(32, ++at);
    const setState = (state: string) => `UPDATE freehold.users SET state = '${state}' WHERE user_id = '${user}'`;
    await platform.run('BEGIN READ WRITE');
    await platform.run(
      `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
       SELECT 'ses_' || repeat($2, 26), $1, user_id, ${columns} FROM freehold.users WHERE user_id = $3`,
      [hash, String(at), user],
    );
    if (disabled) await platform.run(setState('disabled'));
    await platform.run('COMMIT');
    const rows = await app.query(checked, [hash]);
    report.check(`a session ${what}`, rows.length === (good ? 1 : 0), `${rows.length} rows`);
    await platform.run('BEGIN READ WRITE');
    await platform.run('DELETE FROM freehold.sessions WHERE token_hash = $1', [hash]);
    await platform.run(setState('active'));
    await platform.run('COMMIT');
  }
  for (const guess of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(32), Buffer.from('%'), null]) {
    const rows = await app.query(checked, [guess]);
    report.check('a guess finds no session', rows.length === 0);
  }
  const all = await app.query(
    `SELECT user_id FROM generate_series(0, 255) n, freehold.check_session(set_byte(decode(repeat('00', 32), 'hex'), 0, n))
     WHERE user_id IS NOT NULL`,
  );
  report.check('many guesses find none', all.length === 0);
}

/** A key that was replaced is good for its grace and no longer, and a session that is over is not live by its id either. */
async function probeReplacedKeys({ report, b }: World, app: Connection, platform: Connection): Promise<void> {
  const user = b.people.member.userId;
  const [hash, replaced, sessionId] = [Buffer.alloc(32, 91), Buffer.alloc(32, 92), `ses_${'9'.repeat(26)}`];
  const write = async (text: string, values: readonly unknown[]) => {
    await platform.run('BEGIN READ WRITE');
    await platform.run(text, [...values]);
    await platform.run('COMMIT');
  };
  await write(
    `INSERT INTO freehold.sessions (session_id, token_hash, previous_token_hash, user_id, user_epoch, expires_at, idle_expires_at)
     SELECT $1, $2, $3, user_id, epoch, now() + interval '1 h', now() + interval '1 h' FROM freehold.users WHERE user_id = $4`,
    [sessionId, hash, replaced, user],
  );
  for (const [what, change, good, live] of [
    ['its successor was not used yet', 'key_used_at = NULL', true, true],
    ['its successor was used just now', 'key_used_at = now()', true, true],
    ['its successor was used a while ago', `key_used_at = now() - interval '31 s'`, false, true],
    ['the session is over', `key_used_at = NULL, expires_at = now() - interval '1 s'`, false, false],
  ] as const) {
    await write(`UPDATE freehold.sessions SET ${change} WHERE session_id = $1`, [sessionId]);
    const found = await app.query(checked, [replaced]);
    report.check(`a replaced key, ${what}`, (found.length === 1) === good, `${found.length} rows`);
    const [row] = await app.query<{ live: boolean }>('SELECT freehold.is_session_live($1) AS live', [sessionId]);
    report.check(`its session is live, ${what}`, row?.live === live, String(row?.live));
  }
  await write('DELETE FROM freehold.sessions WHERE session_id = $1', [sessionId]);
}

/** Each rule of check_token by itself, as the app role would ask. */
async function probeCheckToken({ report, b }: World, app: Connection, platform: Connection): Promise<void> {
  const user = b.people.member.userId;
  const [hash, tokenId] = [Buffer.alloc(32, 95), `tok_${'7'.repeat(26)}`];
  const write = async (text: string, values: readonly unknown[]) => {
    await platform.run('BEGIN READ WRITE');
    await platform.run(text, [...values]);
    await platform.run('COMMIT');
  };
  await write(
    `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, expires_at)
     VALUES ($1, $2, $3, 'x', 'read', now() + interval '1 h')`,
    [tokenId, hash, user],
  );
  const token = (change: string) => write(`UPDATE freehold.api_tokens SET ${change} WHERE token_id = $1`, [tokenId]);
  const state = (to: string) => write('UPDATE freehold.users SET state = $2 WHERE user_id = $1', [user, to]);
  for (const [what, change, isGood] of [
    ['good in every way', () => token(`name = 'y'`), true],
    ['of a disabled user', () => state('disabled'), false],
    ['of a user who is back', () => state('active'), true],
    ['over its time', () => token(`expires_at = now() - interval '1 s'`), false],
  ] as const) {
    await change();
    const found = await app.query('SELECT user_id FROM freehold.check_token($1) WHERE user_id IS NOT NULL', [hash]);
    report.check(`an API token ${what}`, (found.length === 1) === isGood, `${found.length} rows`);
    const [row] = await app.query<{ live: boolean }>('SELECT freehold.is_token_live($1) AS live', [tokenId]);
    report.check(`an API token ${what}, by its id`, row?.live === isGood, String(row?.live));
  }
  await write('DELETE FROM freehold.api_tokens WHERE token_id = $1', [tokenId]);
  for (const guess of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(32), null]) {
    const rows = await app.query('SELECT user_id FROM freehold.check_token($1) WHERE user_id IS NOT NULL', [guess]);
    report.check('a guess finds no token', rows.length === 0);
  }
}

/**
 * The function runs as the platform role: operators, functions, types and tables that the app puts in its way must not be used by it. The
 * session is new, so that nothing of the function was looked up before.
 */
async function probeSearchPath(world: World, platform: Connection): Promise<void> {
  const { report, internals, b } = world;
  const user = b.people.member.userId;
  const [hash, replaced, sessionId] = [Buffer.alloc(32, 93), Buffer.alloc(32, 94), `ses_${'8'.repeat(26)}`];
  const tokenId = `tok_${'8'.repeat(26)}`;
  await platform.run('BEGIN READ WRITE');
  await platform.run(
    `INSERT INTO freehold.sessions (session_id, token_hash, previous_token_hash, key_used_at, user_id, user_epoch, expires_at, idle_expires_at)
     SELECT $1, $2, $3, NULL, user_id, epoch, now() + interval '1 h', now() + interval '1 h' FROM freehold.users WHERE user_id = $4`,
    [sessionId, hash, replaced, user],
  );
  await platform.run(
    `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, expires_at)
     VALUES ($1, $2, $3, 'x', 'read', now() + interval '1 h')`,
    [tokenId, hash, user],
  );
  await platform.run('COMMIT');
  const obstacle = (name: string, parameters: string, result: string) =>
    `CREATE FUNCTION app.${name}(${parameters}) RETURNS pg_catalog.${result} LANGUAGE plpgsql AS
     $$ BEGIN RAISE EXCEPTION 'called as %', current_user USING ERRCODE = 'ZZ001'; END $$`;
  const fresh = await internals.connect(b.tenantId, 'app');
  await fresh.run('BEGIN READ WRITE');
  try {
    await fresh.run(obstacle('now', '', 'timestamptz'));
    for (const [type, operators] of Object.entries({
      bytea: ['='],
      text: ['=', '<>'],
      int4: ['='],
      timestamptz: ['>', '<='],
    })) {
      const both = `pg_catalog.${type}, pg_catalog.${type}`;
      await fresh.run(obstacle(`same_${type}`, both, 'bool'));
      for (const operator of operators)
        await fresh.run(
          `CREATE OPERATOR app.${operator} (LEFTARG = pg_catalog.${type}, RIGHTARG = pg_catalog.${type}, FUNCTION = app.same_${type})`,
        );
    }
    for (const name of ['text', 'bytea', 'timestamptz', 'interval'])
      await fresh.run(`CREATE DOMAIN app.${name} AS int`);
    for (const name of ['users', 'sessions', 'api_tokens', 'second_factor_policy', 'totp_factors', 'passkeys'])
      await fresh.run(`CREATE TABLE app.${name} (token_hash int, user_id int)`);
    await fresh.run('SET LOCAL search_path = app, pg_catalog');
    for (const [text, value, expected] of [
      ['SELECT user_id AS answer FROM freehold.check_session($1)', hash, user],
      ['SELECT user_id AS answer FROM freehold.check_session($1)', replaced, user],
      [`SELECT CASE WHEN freehold.is_session_live($1) THEN 'live' END AS answer`, sessionId, 'live'],
      ['SELECT user_id AS answer FROM freehold.check_token($1)', hash, user],
      [`SELECT CASE WHEN freehold.is_token_live($1) THEN 'live' END AS answer`, tokenId, 'live'],
    ] as const) {
      await fresh.run('SAVEPOINT asked');
      const found = await fresh.run<{ answer: string }>(text, [value]).then(
        ({ rows }) => rows[0]?.answer,
        (error: { code?: string }) => error.code,
      );
      report.check("what the app puts in its way is not called with the platform's rights", found === expected, found);
      await fresh.run('ROLLBACK TO asked');
    }
  } finally {
    await fresh.run('ROLLBACK');
    await fresh.close();
    await platform.run('BEGIN READ WRITE');
    await platform.run('DELETE FROM freehold.sessions WHERE session_id = $1', [sessionId]);
    await platform.run('DELETE FROM freehold.api_tokens WHERE token_id = $1', [tokenId]);
    await platform.run('COMMIT');
  }
}
