/** Apps that run as processes make what they like in their databases. Nothing of it may run with other rights than the app's, and what is good must stay whole. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TenantId } from '#src/kernel/index.ts';
import { type Connection, openConnection, sqlState } from '#src/postgres/index.ts';
import type { Operation, OperationKind, Tenant } from '#src/tenants/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { contentHash, longJob, stableOutput } from './index.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;

before(async () => {
  cluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-hostile-'));
  world = await openTestInstallation({ control: cluster.control, folder, kind: 'process' });
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

/** The same rows under the same keys in every tenant. */
const furnished = `
CREATE EXTENSION pgcrypto;
CREATE SCHEMA "Mixed Case";
CREATE EXTENSION citext SCHEMA "Mixed Case";
CREATE TABLE people (id int PRIMARY KEY, email "Mixed Case".citext UNIQUE, secret bytea);
CREATE TABLE "Mixed Case"."Letters" (id serial PRIMARY KEY, person int REFERENCES people, body text);
CREATE TABLE measured (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE UNLOGGED TABLE cache (k text);
CREATE PUBLICATION changes FOR TABLE people;
INSERT INTO people VALUES (1, 'Ada@Example.com', digest('x', 'sha256')), (2, 'bob@example.com', NULL);
INSERT INTO "Mixed Case"."Letters" (person, body) VALUES (1, 'Dear'), (2, E'line\\nbreak');
INSERT INTO measured VALUES ('2026-03-01', 1);
INSERT INTO cache VALUES ('kept');
SELECT lo_from_bytea(4711, 'large');`;

/** Whatever it is put into: it fails loudly unless it is called as the app. */
const spy = `
CREATE FUNCTION spy() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF current_user <> current_database() OR session_user <> current_database() THEN RAISE EXCEPTION 'called as %, %', current_user, session_user; END IF;
  RETURN true;
END $$;
CREATE FUNCTION spy(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.spy(); END';
CREATE FUNCTION spying() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.spy(); RETURN NEW; END';`;

/** Each is planted beside the others, in a tenant in which everything must go on as if it were not there. */
const plants: Record<string, string> = {
  'a cast of a row to text': `
    CREATE FUNCTION told(people) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.spy(); RETURN 'hidden'; END $$;
    CREATE CAST (people AS text) WITH FUNCTION told(people) AS IMPLICIT;`,
  'a column called like our alias': `CREATE TABLE odd (whole_row text, "the whole row" people, digest int); INSERT INTO odd VALUES ('a', NULL, 1), ('b', NULL, 2);`,
  'triggers of every kind': `
    CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION spying();
    CREATE TRIGGER b AFTER TRUNCATE ON people FOR EACH STATEMENT EXECUTE FUNCTION spying();
    CREATE CONSTRAINT TRIGGER c AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spying();
    ALTER TABLE people ENABLE ALWAYS TRIGGER a;`,
  'checks, defaults, generated columns, domains, indexes, statistics': `
    CREATE DOMAIN spied AS text CHECK (public.spy());
    CREATE TABLE watched (a spied, b text DEFAULT public.spy()::text, c boolean GENERATED ALWAYS AS (public.spy()) STORED, CHECK (public.spy()));
    INSERT INTO watched (a) VALUES ('x');
    CREATE INDEX i ON watched ((public.spy(b)));
    CREATE INDEX j ON watched (b) WHERE public.spy();
    CREATE STATISTICS s ON (public.spy(b)), b FROM watched;`,
  policies: `ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON people USING (public.spy());`,
  'rules and views': `
    CREATE VIEW watching AS SELECT public.spy() AS s, * FROM people;
    CREATE MATERIALIZED VIEW kept AS SELECT public.spy() AS s;
    CREATE RULE r AS ON INSERT TO measured DO ALSO SELECT public.spy();`,
  'names of the system': `
    CREATE TABLE pg_class (relname text, relnamespace oid, oid oid, relkind text);
    CREATE VIEW pg_settings AS SELECT public.spy() AS name;
    CREATE FUNCTION sha256(bytea) RETURNS bytea LANGUAGE plpgsql AS 'BEGIN PERFORM public.spy(); RETURN NULL; END';
    CREATE FUNCTION count(text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN PERFORM public.spy(); RETURN 0; END';
    CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN public.spy(); END';
    CREATE OPERATOR = (FUNCTION = equal, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION later(timestamptz, date) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN public.spy(); END';
    CREATE OPERATOR < (FUNCTION = later, LEFTARG = timestamptz, RIGHTARG = date);`,
  'names of ours': `
    CREATE SCHEMA app;
    CREATE VIEW app.schema_migrations AS SELECT public.spy()::text AS name, 1 AS position, '' AS checksum;
    CREATE TABLE schema_migrations (position int); CREATE TABLE files (sha256 bytea); CREATE TABLE users (user_id text);
    CREATE FUNCTION check_session(bytea) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN public.spy(); END';`,
  'settings of its own': `
    DO $$ BEGIN
      EXECUTE format('ALTER ROLE %I SET search_path = public', current_user);
      EXECUTE format('ALTER ROLE %I SET standard_conforming_strings = off', current_user);
      EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', current_user);
      EXECUTE format('ALTER ROLE %I SET statement_timeout = 1', current_user);
    END $$`,
};

async function create(name: string, ...scripts: string[]): Promise<Tenant> {
  const { operationId } = await world.lifecycle.startOperation(
    'create',
    undefined,
    { name, adminEmail: 'ada@example.com' },
    'os:test',
  );
  await world.lifecycle.waitForOperation(operationId);
  const tenant = await world.lifecycle.getTenant(name);
  await asApp(tenant.tenantId, async (db) => {
    for (const script of scripts) await db.script(script);
  });
  return tenant;
}

async function asRole<T>(
  role: 'app' | 'platform',
  tenantId: TenantId,
  work: (db: Connection) => Promise<T>,
): Promise<T> {
  const { database, [role]: login } = await world.directory.forLifecycle.getAccess(tenantId);
  const target = { host: database.host, port: database.port, tls: database.tls, database: database.name, ...login };
  const options =
    role === 'platform'
      ? { ...longJob, ...stableOutput }
      : { default_transaction_read_only: 'off', statement_timeout: '0' };
  const connection = await openConnection(target, { applicationName: 'test', options });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
const asApp = <T>(tenantId: TenantId, work: (db: Connection) => Promise<T>) => asRole('app', tenantId, work);

async function run(
  kind: OperationKind,
  tenantId: TenantId | undefined,
  input: Record<string, unknown>,
): Promise<Operation> {
  const { operationId } = await world.lifecycle.startOperation(kind, tenantId, input, 'os:test');
  return world.lifecycle.waitForOperation(operationId);
}
async function succeed(...call: Parameters<typeof run>): Promise<Operation> {
  const operation = await run(...call);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return operation;
}
async function importExport(exported: Operation, tenant: Tenant, name: string): Promise<Operation> {
  const { content } = await world.portability.openExport(exported.operationId);
  const archivePath = await world.portability.receiveUpload(content, 1e9);
  const manifest = await world.portability.inspectArchive(archivePath);
  assert.equal(manifest.tenant.name, tenant.name);
  return run('import', undefined, { name, archivePath, app: manifest.app.name, createdFrom: manifest.createdFrom });
}
const hashOf = (tenantId: TenantId) =>
  asRole('platform', tenantId, async (db) => {
    await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return (await contentHash(db)).sha256;
  });

test('a database full of traps is exported, imported, cloned, restored, suspended and deleted, and none of them springs', async () => {
  const acme = await create('acme', furnished, spy, ...Object.values(plants));
  const globex = await create('globex', furnished);
  const before = await hashOf(acme.tenantId);
  assert.notEqual(before, await hashOf(globex.tenantId));

  const exported = await succeed('export', acme.tenantId, {});
  assert.equal(exported.result.contentHash, before);
  const imported = await importExport(exported, acme, 'imported');
  assert.equal(imported.state, 'succeeded', JSON.stringify(imported.error));
  assert.equal(imported.result.contentHash, before);
  const { tenantId } = await world.lifecycle.getTenant('imported');
  await asApp(tenantId, async (db) => {
    assert.deepEqual(await db.query(`SELECT email::text AS email FROM public.people ORDER BY id`), [
      { email: 'Ada@Example.com' },
      { email: 'bob@example.com' },
    ]);
    assert.deepEqual(await db.query(`SELECT convert_from(lo_get(4711), 'UTF8') AS body`), [{ body: 'large' }]);
    assert.deepEqual(await db.query('SELECT k FROM public.cache'), [{ k: 'kept' }]);
    // Owned by the app of the copy, with what it needs to go on.
    await db.script(
      `ALTER TABLE public.people ADD COLUMN more text; DROP EXTENSION pgcrypto; ALTER PUBLICATION changes DROP TABLE public.people`,
    );
  });

  await succeed('suspend', acme.tenantId, {});
  await succeed('clone', acme.tenantId, { newName: 'cloned' });
  await succeed('resume', acme.tenantId, {});
  const cloned = await world.lifecycle.getTenant('cloned');
  // Passwords, sessions and secrets apart, which a clone does not get, and which nobody has here.
  assert.equal(await hashOf(cloned.tenantId), before);
  assert.equal(await hashOf(acme.tenantId), before);

  const restored = await succeed('restore', acme.tenantId, {
    newName: 'restored',
    moment: { kind: 'time', time: new Date().toISOString() },
  });
  assert.equal(restored.result.contentHash, before);
  await succeed('delete', acme.tenantId, { confirmName: 'acme' });
  assert.equal(await hashOf(cloned.tenantId), before);
});

test('a view in the place of a table that was just listed is not read', async () => {
  const { tenantId } = await create('racing', 'CREATE TABLE racing (n int)', spy);
  const swapped = asRole('platform', tenantId, async (db) => {
    await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const racing: Connection = {
      ...db,
      async copyOut(text, onRow) {
        if (text.includes('"racing"'))
          await asApp(tenantId, (app) =>
            app.script('DROP TABLE racing; CREATE VIEW racing AS SELECT public.spy() AS n'),
          );
        return db.copyOut(text, onRow);
      },
    };
    await contentHash(racing);
  });
  await assert.rejects(swapped, /cannot copy from view "racing"/);
});

/** What cannot be carried is said, and the tenant is as it was. */
const uncarried: Record<string, { plant: string; operation: 'export' | 'import'; code: string }> = {
  'rows that a policy hides from everybody': {
    plant:
      'CREATE TABLE t (n int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (public.spy())',
    operation: 'export',
    code: 'FH_ROWS_HIDDEN',
  },
  'a table that its owner may not read': {
    plant: 'CREATE TABLE t (n int); REVOKE ALL ON t FROM CURRENT_USER',
    operation: 'export',
    code: 'FH_ROWS_HIDDEN',
  },
  'an index that is made only where a search path leads': {
    plant: `CREATE FUNCTION inner_one(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
      CREATE FUNCTION outer_one(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN inner_one($1); END';
      CREATE TABLE t (n text); INSERT INTO t VALUES ('x'); CREATE INDEX i ON t (outer_one(n))`,
    operation: 'import',
    code: 'FH_ARCHIVE_INVALID',
  },
};
test('what cannot be carried fails with a reason, and the tenant goes on', async () => {
  for (const [index, [what, { plant, operation, code }]] of Object.entries(uncarried).entries()) {
    const tenant = await create(`odd${index}`, spy, plant);
    const exported = await run('export', tenant.tenantId, {});
    const failed = operation === 'export' ? exported : await importExport(exported, tenant, `in${index}`);
    assert.equal(failed.state, operation === 'import' ? 'undone' : 'failed', what);
    assert.equal(
      failed.error?.code === code || JSON.stringify(failed.error).includes(code),
      true,
      `${what}: ${JSON.stringify(failed.error)}`,
    );
    assert.equal((await world.lifecycle.getTenant(tenant.name)).state, 'active');
    await succeed('delete', tenant.tenantId, { confirmName: tenant.name });
  }
});

test('an archive loads what is the app’s with the app’s rights, and reaches nothing of the platform', async () => {
  const tenant = await create('evil', `CREATE TABLE t (n text); INSERT INTO t VALUES ('x')`);
  await asApp(tenant.tenantId, (db) =>
    db.script(`
      CREATE FUNCTION climb(text) RETURNS text LANGUAGE plpgsql AS $$
      BEGIN
        BEGIN PERFORM user_id FROM freehold.users; RAISE EXCEPTION 'reached'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
        BEGIN EXECUTE format('SET ROLE %I', current_database() || '_p'); RAISE EXCEPTION 'reached'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
        RETURN $1;
      END $$;
      CREATE MATERIALIZED VIEW climbing AS SELECT public.climb(n) FROM t;
      CREATE TABLE checked (n text CHECK (public.climb(n) IS NOT NULL)); INSERT INTO checked VALUES ('y')`),
  );
  const exported = await succeed('export', tenant.tenantId, {});
  const imported = await importExport(exported, tenant, 'climbed');
  assert.equal(imported.state, 'succeeded', JSON.stringify(imported.error));
  const { tenantId } = await world.lifecycle.getTenant('climbed');
  assert.equal(
    await asApp(tenantId, (db) => db.query('SELECT FROM freehold.users').then(() => 'ok', sqlState)),
    '42501',
  );
});
