import { quoteIdentifier as id, quoteLiteral as literal } from '#src/postgres/index.ts';
import type { DatabaseRoles } from './names.ts';
import { type DatabaseNote, noteSql } from './sql.ts';

/**
 * One script, one transaction, run inside a copied database: whatever belongs to the roles of the original, or was granted to them,
 * goes to the roles of the copy. REASSIGN OWNED moves ownership only, so grants are made again from pg_shdepend, the catalogue of
 * what depends on a role. At the end nothing in this database may depend on the original's roles, or all of it is rolled back:
 * a dependency left behind would keep the original from being deleted, and would be a right that nobody sees.
 *
 * Control becomes a member of the roles for this transaction only. As a lasting member of thousands of roles it would make every
 * check of its own rights slow, and would inherit every tenant's rights.
 */
export function reownScript(
  from: DatabaseRoles,
  to: DatabaseRoles,
  { keepMembership, note }: { keepMembership: boolean; note: DatabaseNote },
): string {
  const newRoles = `${id(to.app)}, ${id(to.platform)}`;
  const oldRoles = `${id(from.app)}, ${id(from.platform)}`;
  return `
BEGIN;
SET LOCAL search_path = pg_catalog;
GRANT ${newRoles} TO CURRENT_USER;
${keepMembership ? '' : `GRANT ${oldRoles} TO CURRENT_USER;`}
${reownSchemasSql(from, to)}
REASSIGN OWNED BY ${id(from.app)} TO ${id(to.app)};
REASSIGN OWNED BY ${id(from.platform)} TO ${id(to.platform)};
${copyGrantsSql(from, to)}
${keepMembership ? '' : `REVOKE ${oldRoles} FROM CURRENT_USER;`}
REVOKE ${newRoles} FROM CURRENT_USER;
${noteSql(to.app, note)};
COMMIT;`;
}

/** Ahead of what is in them: a new owner needs CREATE on the schema, and REASSIGN OWNED takes them in any order. An app that is a process has as many as it likes. */
function reownSchemasSql(from: DatabaseRoles, to: DatabaseRoles): string {
  return `
DO $freehold$
DECLARE
  entry record;
BEGIN
  FOR entry IN
    SELECT nspname, CASE nspowner WHEN ${literal(from.app)}::regrole THEN ${literal(to.app)} ELSE ${literal(to.platform)} END AS new_owner
    FROM pg_namespace WHERE nspowner IN (${literal(from.app)}::regrole, ${literal(from.platform)}::regrole)
  LOOP
    EXECUTE format('ALTER SCHEMA %I OWNER TO %I', entry.nspname, entry.new_owner);
  END LOOP;
END
$freehold$;`;
}

function copyGrantsSql(from: DatabaseRoles, to: DatabaseRoles): string {
  return `
DO $freehold$
DECLARE
  old_app oid := ${literal(from.app)}::regrole;
  old_platform oid := ${literal(from.platform)}::regrole;
  entry record;
  old_grantee text;
  new_grantee text;
BEGIN
  FOR entry IN
    SELECT o.target, a.grantee,
           string_agg(a.privilege_type || coalesce(o.column_list, ''), ', ' ORDER BY a.privilege_type) AS privileges,
           a.is_grantable
    FROM pg_shdepend s
    CROSS JOIN LATERAL (
      SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || s.objid::regclass AS target, c.relacl AS acl, NULL AS column_list
      FROM pg_class c WHERE s.classid = 'pg_class'::regclass AND c.oid = s.objid AND s.objsubid = 0
      UNION ALL
      SELECT 'TABLE ' || s.objid::regclass, t.attacl, ' (' || quote_ident(t.attname) || ')'
      FROM pg_attribute t WHERE s.classid = 'pg_class'::regclass AND t.attrelid = s.objid AND s.objsubid <> 0 AND t.attnum = s.objsubid
      UNION ALL
      SELECT 'ROUTINE ' || s.objid::regprocedure, p.proacl, NULL FROM pg_proc p WHERE s.classid = 'pg_proc'::regclass AND p.oid = s.objid
      UNION ALL
      SELECT 'SCHEMA ' || quote_ident(n.nspname), n.nspacl, NULL FROM pg_namespace n WHERE s.classid = 'pg_namespace'::regclass AND n.oid = s.objid
      UNION ALL
      SELECT 'LARGE OBJECT ' || l.oid, l.lomacl, NULL FROM pg_largeobject_metadata l WHERE s.classid = 'pg_largeobject'::regclass AND l.oid = s.objid
      UNION ALL
      SELECT 'TYPE ' || s.objid::regtype, t.typacl, NULL FROM pg_type t WHERE s.classid = 'pg_type'::regclass AND t.oid = s.objid
    ) o
    CROSS JOIN LATERAL aclexplode(o.acl) a
    WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND s.deptype = 'a' AND s.refclassid = 'pg_authid'::regclass AND s.refobjid IN (old_app, old_platform)
      AND a.grantee = s.refobjid
    GROUP BY o.target, o.column_list, a.grantee, a.is_grantable
  LOOP
    old_grantee := CASE entry.grantee WHEN old_app THEN ${literal(id(from.app))} ELSE ${literal(id(from.platform))} END;
    new_grantee := CASE entry.grantee WHEN old_app THEN ${literal(id(to.app))} ELSE ${literal(id(to.platform))} END;
    EXECUTE format('GRANT %s ON %s TO %s', entry.privileges, entry.target, new_grantee)
      || CASE WHEN entry.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
    EXECUTE format('REVOKE %s ON %s FROM %s', entry.privileges, entry.target, old_grantee);
  END LOOP;
  IF EXISTS (
    SELECT FROM pg_shdepend s
    WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND s.refclassid = 'pg_authid'::regclass AND s.refobjid IN (old_app, old_platform)
  ) THEN
    RAISE EXCEPTION 'something in this database still depends on the roles of the original' USING ERRCODE = 'dependent_objects_still_exist';
  END IF;
END
$freehold$;`;
}
