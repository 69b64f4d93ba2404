import { createHash } from 'node:crypto';
import type { Queryable } from '#src/postgres/index.ts';

/** One thing in a database that is not a row, or one aspect of it that can be changed by itself. */
export interface CatalogueObject {
  /** As people say it: `index app.item_title`, `privileges of table app.item`. */
  readonly object: string;
  readonly definition: string;
  /** Whose it is: `freehold` the platform's, anything else the app's. */
  readonly scope: string;
}

/** Counts changes of the query below: what an older program has read is not compared with what this one reads. */
export const catalogueFormat = 1;

/** Who is meant, the same in every tenant's database. By look-up, not by a list: a server has the roles of thousands of tenants. */
const nameOf = (oid: string) =>
  `CASE WHEN ${oid} = 0 THEN 'everybody' WHEN pg_get_userbyid(${oid}) = current_database() THEN 'the app'
    WHEN pg_get_userbyid(${oid}) = current_database() || '_p' THEN 'the platform' WHEN ${oid} = (SELECT me.datdba FROM me) THEN 'control'
    ELSE quote_ident(pg_get_userbyid(${oid})) END`;

/** NULL stands for the defaults (PostgreSQL manual, "Privileges"), which a copy spells out; who granted does not matter. */
const privileges = (acl: string, kind: string, owner: string) => `(
  SELECT coalesce(string_agg(g.line, '; ' ORDER BY g.line COLLATE "C"), 'nobody') FROM (
    SELECT ${nameOf('a.grantee')} || ': '
        || string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' (may grant)' ELSE '' END, ', ' ORDER BY a.privilege_type) AS line
    FROM aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) a GROUP BY a.grantee) g)`;

const sections = [
  `SELECT 'schema ' || o.name, '', o.name FROM ours o`,
  `SELECT 'owner of schema ' || o.name, ${nameOf('o.nspowner')}, o.name FROM ours o`,
  `SELECT 'privileges of schema ' || o.name, ${privileges('o.nspacl', `'n'`, 'o.nspowner')}, o.name FROM ours o`,
  `SELECT r.label, concat_ws(', ', CASE r.relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
      (SELECT m.amname FROM pg_am m WHERE m.oid = r.relam), 'options ' || array_to_string(r.reloptions, ' '),
      nullif('replica identity ' || r.relreplident::text, 'replica identity d'), pg_get_partkeydef(r.oid), pg_get_expr(r.relpartbound, r.oid),
      (SELECT 'inherits ' || string_agg(i.inhparent::regclass::text, ' ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = r.oid),
      (SELECT concat_ws(' ', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle) FROM pg_sequence q WHERE q.seqrelid = r.oid),
      (SELECT 'referential triggers not enabled: ' || count(*) FROM pg_trigger t WHERE t.tgrelid = r.oid AND t.tgisinternal AND t.tgenabled <> 'O' HAVING count(*) > 0),
      CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END), r.scope FROM relation r`,
  `SELECT 'row security of ' || r.label, CASE WHEN r.relforcerowsecurity THEN 'forced, ' ELSE '' END || CASE WHEN r.relrowsecurity THEN 'on' ELSE 'off' END, r.scope
     FROM relation r WHERE r.relkind IN ('r', 'p')`,
  `SELECT 'owner of ' || r.label, ${nameOf('r.relowner')}, r.scope FROM relation r`,
  `SELECT 'privileges of ' || r.label, ${privileges('r.relacl', `CASE r.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END`, 'r.relowner')}, r.scope
     FROM relation r WHERE r.relkind <> 'c'`,
  `SELECT 'column ' || r.name || '.' || quote_ident(a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation <> y.typcollation THEN 'collate ' || a.attcollation::regcollation END, CASE WHEN a.attnotnull THEN 'not null' END,
      CASE a.attgenerated::text WHEN '' THEN 'default ' ELSE 'generated ' END || pg_get_expr(d.adbin, d.adrelid), 'identity ' || nullif(a.attidentity::text, ''),
      'storage ' || nullif(a.attstorage, y.typstorage)::text, 'compression ' || nullif(a.attcompression::text, ''), 'options ' || array_to_string(a.attoptions, ' '),
      'statistics ' || nullif(coalesce(a.attstattarget, -1), -1)), r.scope
     FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type y ON y.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind <> 'S'`,
  `SELECT 'privileges of column ' || r.name || '.' || quote_ident(a.attname), ${privileges('a.attacl', `'c'`, 'r.relowner')}, r.scope
     FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attacl IS NOT NULL AND a.attacl <> '{}' AND NOT a.attisdropped`,
  `SELECT 'constraint ' || quote_ident(k.conname) || ' on ' || CASE WHEN k.conrelid <> 0 THEN k.conrelid::regclass::text ELSE k.contypid::regtype::text END,
      pg_get_constraintdef(k.oid), o.name FROM pg_constraint k JOIN ours o ON o.oid = k.connamespace`,
  `SELECT 'index ' || i.indexrelid::regclass, concat_ws(', ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'not valid' END,
      CASE WHEN NOT i.indisready THEN 'not ready' END, CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'replica identity' END), r.scope
     FROM pg_index i JOIN relation r ON r.oid = i.indrelid`,
  `SELECT 'trigger ' || quote_ident(t.tgname) || ' on ' || r.name, pg_get_triggerdef(t.oid)
      || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ', disabled' WHEN 'A' THEN ', always' ELSE ', replica' END, r.scope
     FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal`,
  `SELECT 'rule ' || quote_ident(u.rulename) || ' on ' || r.name, pg_get_ruledef(u.oid) || CASE u.ev_enabled WHEN 'O' THEN '' ELSE ', ' || u.ev_enabled::text END, r.scope
     FROM pg_rewrite u JOIN relation r ON r.oid = u.ev_class WHERE u.rulename <> '_RETURN'`,
  `SELECT 'policy ' || quote_ident(p.polname) || ' on ' || r.name, concat_ws(' ', p.polcmd, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
      (SELECT string_agg(${nameOf('u.oid')}, ', ' ORDER BY u.oid) FROM unnest(p.polroles) AS u (oid)), 'using ' || pg_get_expr(p.polqual, p.polrelid),
      'check ' || pg_get_expr(p.polwithcheck, p.polrelid)), r.scope FROM pg_policy p JOIN relation r ON r.oid = p.polrelid`,
  `SELECT f.label, CASE WHEN f.prokind = 'a' THEN (SELECT concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggtranstype::regtype, g.agginitval)
      FROM pg_aggregate g WHERE g.aggfnoid = f.oid) ELSE pg_get_functiondef(f.oid) END, f.scope FROM routine f`,
  `SELECT 'owner of ' || f.label, ${nameOf('f.proowner')}, f.scope FROM routine f`,
  `SELECT 'privileges of ' || f.label, ${privileges('f.proacl', `'f'`, 'f.proowner')}, f.scope FROM routine f`,
  `SELECT y.label, concat_ws(' ', y.typtype, nullif(y.typbasetype, 0)::regtype, CASE WHEN y.typnotnull THEN 'not null' END, 'default ' || y.typdefault,
      (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid),
      (SELECT g.rngsubtype::regtype::text FROM pg_range g WHERE g.rngtypid = y.oid)), y.scope FROM kind y`,
  `SELECT 'owner of ' || y.label, ${nameOf('y.typowner')}, y.scope FROM kind y`,
  `SELECT 'privileges of ' || y.label, ${privileges('y.typacl', `'T'`, 'y.typowner')}, y.scope FROM kind y`,
  `SELECT 'operator ' || p.oid::regoperator, concat_ws(' ', p.oprcode, p.oprrest, p.oprjoin, ${nameOf('p.oprowner')}), o.name FROM pg_operator p JOIN ours o ON o.oid = p.oprnamespace`,
  `SELECT 'operator class ' || o.name || '.' || quote_ident(c.opcname) || ' for ' || m.amname, concat_ws(' ', c.opcintype::regtype, c.opcdefault, ${nameOf('c.opcowner')}), o.name
     FROM pg_opclass c JOIN ours o ON o.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod`,
  `SELECT 'collation ' || o.name || '.' || quote_ident(c.collname), concat_ws(' ', c.collprovider, c.collisdeterministic, c.collcollate, ${nameOf('c.collowner')}), o.name
     FROM pg_collation c JOIN ours o ON o.oid = c.collnamespace`,
  `SELECT 'statistics ' || o.name || '.' || quote_ident(s.stxname), concat_ws(' ', pg_get_statisticsobjdef(s.oid), ${nameOf('s.stxowner')}), o.name
     FROM pg_statistic_ext s JOIN ours o ON o.oid = s.stxnamespace`,
  `SELECT 'text search configuration ' || o.name || '.' || quote_ident(c.cfgname), concat_ws(' ', c.cfgparser::text, ${nameOf('c.cfgowner')}), o.name
     FROM pg_ts_config c JOIN ours o ON o.oid = c.cfgnamespace`,
  `SELECT 'text search dictionary ' || o.name || '.' || quote_ident(c.dictname), concat_ws(' ', c.dictinitoption, ${nameOf('c.dictowner')}), o.name
     FROM pg_ts_dict c JOIN ours o ON o.oid = c.dictnamespace`,
  // 16384: the first id that is not PostgreSQL's own (FirstNormalObjectId).
  `SELECT 'cast from ' || c.castsource::regtype || ' to ' || c.casttarget::regtype, concat_ws(' ', c.castfunc::regproc, c.castcontext, c.castmethod), 'app'
     FROM pg_cast c WHERE c.oid >= 16384`,
  `SELECT 'language ' || quote_ident(l.lanname), ${nameOf('l.lanowner')}, 'app' FROM pg_language l WHERE l.oid >= 16384`,
  `SELECT 'event trigger ' || quote_ident(e.evtname), concat_ws(' ', e.evtevent, e.evtfoid::regprocedure, e.evtenabled), 'app' FROM pg_event_trigger e`,
  `SELECT 'extension ' || quote_ident(e.extname), e.extversion, 'app' FROM pg_extension e`,
  `SELECT 'foreign-data wrapper ' || quote_ident(w.fdwname), array_to_string(w.fdwoptions, ' '), 'app' FROM pg_foreign_data_wrapper w`,
  `SELECT 'foreign server ' || quote_ident(v.srvname), array_to_string(v.srvoptions, ' '), 'app' FROM pg_foreign_server v`,
  `SELECT 'publication ' || quote_ident(p.pubname), concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate), 'app' FROM pg_publication p`,
  `SELECT 'default privileges of ' || ${nameOf('d.defaclrole')} || ' for ' || d.defaclobjtype::text || coalesce(' in ' || nullif(d.defaclnamespace, 0)::regnamespace::text, ''),
      ${privileges('d.defaclacl', 'd.defaclobjtype', 'd.defaclrole')}, 'app' FROM pg_default_acl d`,
  // Recovery point zero is a tenant's own choice, kept as a setting of its database.
  `SELECT 'setting ' || split_part(c.setting, '=', 1) || ' of ' || CASE s.setrole WHEN 0 THEN 'the database' ELSE ${nameOf('s.setrole')} END,
      substr(c.setting, strpos(c.setting, '=') + 1), CASE ${nameOf('s.setrole')} WHEN 'the app' THEN 'app' ELSE 'freehold' END
     FROM pg_db_role_setting s CROSS JOIN me CROSS JOIN unnest(s.setconfig) AS c (setting)
     WHERE s.setdatabase IN (0, me.oid) AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM ends)) AND NOT (s.setrole = 0 AND c.setting ~ '^synchronous_commit=')`,
  `SELECT 'attributes of ' || ${nameOf('r.oid')}, concat_ws(' ', CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,
      CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
      CASE WHEN NOT r.rolinherit THEN 'noinherit' END), 'freehold' FROM ends r`,
  // Readers and migrators come and go; control lets itself in and out.
  `SELECT 'membership of ' || ${nameOf('m.member')} || ' in ' || ${nameOf('m.roleid')}, CASE WHEN m.admin_option THEN 'with admin option' ELSE '' END, 'freehold'
     FROM pg_auth_members m, me
     WHERE (m.roleid IN (SELECT oid FROM ends) OR m.member IN (SELECT oid FROM ends))
       AND m.member <> me.datdba AND pg_get_userbyid(m.member) NOT IN (me.datname || '_m', me.datname || '_r')`,
  `SELECT 'owner of the database', ${nameOf('me.datdba')}, 'freehold' FROM me`,
  `SELECT 'privileges of the database', ${privileges('me.datacl', `'d'`, 'me.datdba')}, 'freehold' FROM me`,
];

const text = `
WITH me AS (SELECT d.oid, d.datdba, d.datacl, d.datname FROM pg_database d WHERE d.datname = current_database()),
  ends AS (SELECT r.oid, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls, r.rolinherit FROM pg_roles r
           WHERE r.rolname IN (current_database(), current_database() || '_p')),
  ours AS (SELECT n.oid, n.nspowner, n.nspacl, quote_ident(n.nspname) AS name FROM pg_namespace n
           WHERE n.nspname !~ '^pg_(toast|temp)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')),
  relation AS (SELECT c.oid, c.relkind, c.relpersistence, c.relam, c.reloptions, c.relreplident, c.relpartbound, c.relrowsecurity, c.relforcerowsecurity,
      c.relowner, c.relacl, o.name AS scope, o.name || '.' || quote_ident(c.relname) AS name,
      CASE c.relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'table ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence '
                     WHEN 'f' THEN 'foreign table ' ELSE 'composite type ' END || o.name || '.' || quote_ident(c.relname) AS label
    FROM pg_class c JOIN ours o ON o.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')),
  routine AS (SELECT f.oid, f.prokind, f.proowner, f.proacl, o.name AS scope,
      CASE f.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END || f.oid::regprocedure AS label
    FROM pg_proc f JOIN ours o ON o.oid = f.pronamespace),
  kind AS (SELECT y.oid, y.typtype, y.typbasetype, y.typnotnull, y.typdefault, y.typowner, y.typacl, o.name AS scope,
      CASE y.typtype WHEN 'd' THEN 'domain ' ELSE 'type ' END || y.oid::regtype AS label
    FROM pg_type y JOIN ours o ON o.oid = y.typnamespace LEFT JOIN pg_class c ON c.oid = y.typrelid
    WHERE y.typtype <> 'm' AND y.typcategory <> 'A' AND (c.oid IS NULL OR c.relkind = 'c'))
SELECT object, coalesce(definition, '') AS definition, scope FROM (
${sections.join('\nUNION ALL ')}
) AS everything (object, definition, scope) ORDER BY object COLLATE "C", definition COLLATE "C"`;

/** Everything in a database that is not rows. Needs the search path `pg_catalog`, so that names come out whole. Nothing of the tenant's is run. */
export async function readCatalogue(db: Queryable): Promise<CatalogueObject[]> {
  return db.query<CatalogueObject>(text);
}

export async function readServerMajor(db: Queryable): Promise<number> {
  const [row] = await db.query<{ major: number }>("SELECT current_setting('server_version_num')::int / 10000 AS major");
  return row!.major;
}

export function hashCatalogue(objects: readonly CatalogueObject[]): string {
  const hash = createHash('sha256');
  for (const { object, definition } of objects) hash.update(`${JSON.stringify([object, definition])}\n`);
  return hash.digest('hex');
}

export interface Difference {
  readonly change: 'added' | 'removed' | 'changed';
  readonly object: string;
  readonly expected: string | undefined;
  readonly found: string | undefined;
}

/** What `found` has besides, lacks or has otherwise, by object. */
export function compareCatalogues(
  expected: readonly CatalogueObject[],
  found: readonly CatalogueObject[],
): Difference[] {
  const wanted = new Map(expected.map(({ object, definition }) => [object, definition]));
  const differences: Difference[] = [];
  for (const { object, definition } of found) {
    const meant = wanted.get(object);
    wanted.delete(object);
    if (meant === undefined) differences.push({ change: 'added', object, expected: undefined, found: definition });
    else if (meant !== definition) differences.push({ change: 'changed', object, expected: meant, found: definition });
  }
  for (const [object, definition] of wanted)
    differences.push({ change: 'removed', object, expected: definition, found: undefined });
  return differences;
}
