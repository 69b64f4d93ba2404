import type { UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { Connection, ConnectionId, SignOnTest } from './types.ts';

/** Connections, and sign-ins over them that wait. */

const columns = `connection_id AS "connectionId", kind, name, state, settings, sealed_secret AS "sealedSecret", last_test AS "lastTest",
  changed_at AS "changedAt"`;

export function selectConnections(db: Queryable): Promise<Connection[]> {
  return db.query<Connection>(
    `SELECT ${columns} FROM freehold.sign_on_connections ORDER BY lower(name), connection_id`,
  );
}

export async function findConnection(db: Queryable, connectionId: string): Promise<Connection | undefined> {
  const [row] = await db.query<Connection>(
    `SELECT ${columns} FROM freehold.sign_on_connections WHERE connection_id = $1`,
    [connectionId],
  );
  return row;
}

/** As it is, and stays until the commit of who asks: whoever starts a session over it comes before its end, or finds that. */
export async function holdConnection(
  db: Queryable,
  connectionId: string,
): Promise<Pick<Connection, 'state' | 'changedAt'> | undefined> {
  const [row] = await db.query<Pick<Connection, 'state' | 'changedAt'>>(
    'SELECT state, changed_at AS "changedAt" FROM freehold.sign_on_connections WHERE connection_id = $1 FOR SHARE',
    [connectionId],
  );
  return row;
}

/** @returns false: there are as many as there may be */
export async function insertConnection(
  db: Queryable,
  connection: Pick<Connection, 'connectionId' | 'kind' | 'name' | 'settings' | 'sealedSecret'>,
  max: number,
): Promise<boolean> {
  // Two at once would each count without the other.
  await db.query('LOCK TABLE freehold.sign_on_connections IN SHARE ROW EXCLUSIVE MODE');
  const rows = await db.query(
    `INSERT INTO freehold.sign_on_connections (connection_id, kind, name, settings, sealed_secret)
     SELECT $1, $2, $3, $4, $5 WHERE $6::integer > (SELECT count(*) FROM freehold.sign_on_connections) RETURNING 1`,
    [
      connection.connectionId,
      connection.kind,
      connection.name,
      JSON.stringify(connection.settings),
      connection.sealedSecret,
      max,
    ],
  );
  return rows.length > 0;
}

/** Another secret or other settings: what was tested is not what there is now. */
export async function updateConnection(
  db: Queryable,
  connection: Pick<Connection, 'connectionId' | 'name' | 'settings' | 'sealedSecret'>,
  { keepsTest }: { keepsTest: boolean },
): Promise<void> {
  await db.query(
    `UPDATE freehold.sign_on_connections SET name = $2, settings = $3, sealed_secret = $4, changed_at = now(),
       last_test = CASE WHEN $5 THEN last_test END
     WHERE connection_id = $1`,
    [connection.connectionId, connection.name, JSON.stringify(connection.settings), connection.sealedSecret, keepsTest],
  );
}

export async function updateConnectionState(db: Queryable, connectionId: string, state: 'on' | 'off'): Promise<void> {
  await db.query('UPDATE freehold.sign_on_connections SET state = $2 WHERE connection_id = $1', [connectionId, state]);
}

/** Only if the connection is still the one that was tested. */
export async function keepTest(
  db: Queryable,
  { connectionId, changedAt }: Pick<Connection, 'connectionId' | 'changedAt'>,
  test: SignOnTest,
): Promise<void> {
  // The client's times have milliseconds, the server's microseconds.
  await db.query(
    `UPDATE freehold.sign_on_connections SET last_test = $3
     WHERE connection_id = $1 AND date_trunc('milliseconds', changed_at) = $2`,
    [connectionId, changedAt, JSON.stringify(test)],
  );
}

export async function deleteConnection(db: Queryable, connectionId: string): Promise<void> {
  await db.query('DELETE FROM freehold.sign_on_connections WHERE connection_id = $1', [connectionId]);
}

export interface NewSignOnRequest {
  readonly stateHash: Buffer;
  readonly browserHash: Buffer;
  readonly connectionId: ConnectionId;
  readonly requestId: string | undefined;
  readonly testerId: UserId | undefined;
  readonly nextPath: string;
  readonly lifetimeSeconds: number;
}

export async function insertRequest(db: Queryable, request: NewSignOnRequest): Promise<void> {
  await db.query(
    `DELETE FROM freehold.sign_on_requests WHERE state_hash = ANY (ARRAY(
       SELECT state_hash FROM freehold.sign_on_requests WHERE expires_at <= now()
       ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED))`,
  );
  await db.query(
    `INSERT INTO freehold.sign_on_requests (state_hash, browser_hash, connection_id, request_id, tester_id, next_path, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`,
    [
      request.stateHash,
      request.browserHash,
      request.connectionId,
      request.requestId ?? null,
      request.testerId ?? null,
      request.nextPath,
      request.lifetimeSeconds,
    ],
  );
}

export interface SignOnRequest {
  readonly connectionId: ConnectionId;
  readonly requestId: string | null;
  readonly testerId: UserId | null;
  readonly nextPath: string;
}

const requestColumns = `connection_id AS "connectionId", request_id AS "requestId", tester_id AS "testerId", next_path AS "nextPath"`;
const isOpen = 'state_hash = $1 AND browser_hash = $2 AND expires_at > now()';

/** Without using it up: an answer that is refused must not end the sign-in that a right one can still complete. */
export async function findRequest(
  db: Queryable,
  stateHash: Buffer,
  browserHash: Buffer,
): Promise<SignOnRequest | undefined> {
  const [row] = await db.query<SignOnRequest>(
    `SELECT ${requestColumns} FROM freehold.sign_on_requests WHERE ${isOpen}`,
    [stateHash, browserHash],
  );
  return row;
}

/** Uses it up: of many who show it at once, one gets it. Another browser's is not found, and stays. */
export async function spendRequest(
  db: Queryable,
  stateHash: Buffer,
  browserHash: Buffer,
): Promise<SignOnRequest | undefined> {
  const [row] = await db.query<SignOnRequest>(
    `DELETE FROM freehold.sign_on_requests WHERE ${isOpen} RETURNING ${requestColumns}`,
    [stateHash, browserHash],
  );
  return row;
}

/** @returns whether nobody used it before; of many at once, one gets true */
export async function spendMessage(db: Queryable, messageHash: Buffer, expiresAt: Date): Promise<boolean> {
  await db.query(
    `DELETE FROM freehold.saml_messages WHERE message_hash = ANY (ARRAY(
       SELECT message_hash FROM freehold.saml_messages WHERE expires_at <= now()
       ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED))`,
  );
  const rows = await db.query(
    'INSERT INTO freehold.saml_messages (message_hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1',
    [messageHash, expiresAt],
  );
  return rows.length > 0;
}
