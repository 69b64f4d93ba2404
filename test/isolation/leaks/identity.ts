// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of the product, as they stand there
import type { PlantedLeak } from './types.ts';

const invitationsSql = 'src/identity/users/invitations-sql.ts';
const migration = 'migrations/tenant/0001_identity.sql';
const checkMigration = 'migrations/tenant/0010_single_sign_on.sql';
const gatewayMain = 'src/main/gateway.ts';

const unstripped = (table: string, threat: string): PlantedLeak => ({
  name: `a clone keeps ${table.replace('_', ' ')}`,
  threat,
  edits: [{ file: invitationsSql, find: `await db.query('DELETE FROM freehold.${table}');`, replace: '' }],
  groups: ['tokens'],
});

const looseSession = (name: string, condition: string): PlantedLeak => ({
  name: `check_session: ${name}`,
  threat: 'a session that is over goes on',
  edits: [{ file: checkMigration, find: `\n      AND ${condition}`, replace: '' }],
  groups: ['platform-schema'],
});

const unqualified = (what: string, find: string, replace: string): PlantedLeak => ({
  name: `check_session takes ${what} from wherever the caller says`,
  threat: "an app's own runs with the rights of the platform",
  edits: [{ file: checkMigration, find, replace }],
  groups: ['platform-schema'],
});

export const identityLeaks: readonly PlantedLeak[] = [
  {
    name: 'a cookie is sealed for no tenant in particular',
    threat: 'one of the two barriers between the cookies of two tenants is gone',
    edits: [
      {
        file: 'src/identity/sessions/cookie.ts',
        find: 'const contextOf = (scope: string) => `${scope} ${name}`;',
        replace: 'const contextOf = (_scope: string) => name;',
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'all cookies are sealed under one key',
    threat: 'the other of the two barriers is gone',
    edits: [
      {
        file: gatewayMain,
        find: 'cookieKeyOf: async (tenantId) => (await accessOf(tenantId)).cookieKey,',
        replace: 'cookieKeyOf: async (tenantId) => (await accessOf(tenantId)) && oneKey,',
      },
      {
        file: gatewayMain,
        find: 'const drainDeadlineMs = 12_000;',
        replace: 'const drainDeadlineMs = 12_000;\nconst oneKey = Buffer.alloc(32, 7);',
      },
    ],
    groups: ['tokens'],
  },
  unstripped('sessions', "sessions of the original's users are known to the copy"),
  unstripped('api_tokens', 'programs of the original reach the copy'),
  unstripped('invitations', 'an old link of the original opens the copy'),
  unstripped('known_devices', "browsers known to the original are spared the copy's limits"),
  {
    name: 'an invitation can be used again',
    threat: 'whoever finds the link later takes the place of the invited',
    edits: [
      {
        file: invitationsSql,
        find: 'DELETE FROM freehold.invitations WHERE token_hash = $1 AND expires_at > now()\n       RETURNING',
        replace: 'SELECT',
      },
      {
        file: invitationsSql,
        find: 'invitation_id, email, email_key, role, invited_by\n     ), made',
        replace:
          'invitation_id, email, email_key, role, invited_by FROM freehold.invitations WHERE token_hash = $1\n     ), made',
      },
    ],
    groups: ['tokens'],
  },
  {
    name: 'a session is remembered for a while',
    threat: 'a role that was taken away, or a user who was disabled, goes on',
    edits: [
      {
        file: 'src/identity/sessions/authenticate.ts',
        find: '      const ask = (lease: Queryable)',
        replace:
          '      const remembered = presumed.find(tenantId, tokenHash);\n      if (remembered) return remembered.session;\n      const ask = (lease: Queryable)',
      },
    ],
    groups: ['roles'],
  },
  {
    name: 'of two session cookies the last one counts',
    threat: 'a neighbouring page that could set a cookie would choose the session',
    edits: [
      {
        file: 'src/identity/sessions/cookie.ts',
        find: 'if (cookies.has(own)) throw refused(`${own} is there twice`);',
        replace: '',
      },
    ],
    groups: ['routes'],
  },
  {
    name: 'cookies are for all hosts of the domain',
    threat: "every tenant receives every other tenant's cookies",
    edits: [
      {
        file: 'src/identity/sessions/cookie.ts',
        find: 'const attributes = `Path=/; Secure; HttpOnly; SameSite=${sameSite}`;',
        replace: 'const attributes = `Path=/; Domain=localhost; Secure; HttpOnly; SameSite=${sameSite}`;',
      },
    ],
    groups: ['tokens'],
  },
  {
    name: 'scripts can read cookies',
    threat: 'a flaw in a page gives the session away',
    edits: [
      {
        file: 'src/identity/sessions/cookie.ts',
        find: 'Path=/; Secure; HttpOnly; SameSite=',
        replace: 'Path=/; Secure; SameSite=',
      },
    ],
    groups: ['tokens'],
  },
  {
    name: "anybody's session can be ended by its id",
    threat: 'a user ends sessions of others',
    edits: [
      {
        file: 'src/identity/sql.ts',
        find: "'DELETE FROM freehold.sessions WHERE user_id = $1 AND session_id = $2 RETURNING session_id'",
        replace: "'DELETE FROM freehold.sessions WHERE $1::text IS NOT NULL AND session_id = $2 RETURNING session_id'",
      },
    ],
    groups: ['roles'],
  },
  {
    name: 'the acting user is not read again',
    threat: 'a role that was taken away between the door and the act counts',
    edits: [
      {
        file: 'src/identity/sessions/access.ts',
        find: 'if (!allowed.includes(user.role)) throw identityErrors.FH_ROLE_REQUIRED();',
        replace: 'void allowed;',
      },
    ],
    groups: ['doors'],
  },
  {
    name: 'an administrator may make owners',
    threat: 'an administrator takes the tenant over',
    edits: [
      {
        file: 'src/identity/sessions/access.ts',
        find: "if (touchedRoles.includes('owner') && user.role !== 'owner')",
        replace: "if (touchedRoles.includes('owner') && user.role === 'member')",
      },
    ],
    groups: ['roles'],
  },
  {
    name: "identity's own door does not ask for the role",
    threat: 'a check forgotten in the gateway opens what administrators do',
    edits: [
      {
        file: 'src/identity/routes.ts',
        find: 'if (config.roles && !config.roles.includes(session.user.role)) throw identityErrors.FH_ROLE_REQUIRED();',
        replace: '',
      },
    ],
    groups: ['doors'],
  },
  {
    name: 'links of invitations name the first tenant that sent one',
    threat: "a token of one tenant is sent to another tenant's host",
    edits: [
      {
        file: 'src/identity/routes.ts',
        find: 'url: originOf(tenant) + invitationPath(token)',
        replace: 'url: (firstOrigin ??= originOf(tenant)) + invitationPath(token)',
      },
      {
        file: 'src/identity/routes.ts',
        find: 'const checks = new RateLimiterMemory(',
        replace: 'let firstOrigin: string | undefined;\n  const checks = new RateLimiterMemory(',
      },
    ],
    groups: ['tokens'],
  },
  looseSession('the epoch is not compared', 'u.epoch OPERATOR(pg_catalog.=) s.user_epoch'),
  looseSession('the state of the user is not looked at', "u.state OPERATOR(pg_catalog.=) 'active'"),
  looseSession('its end is not looked at', 's.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()'),
  looseSession('idle time does not count', 's.idle_expires_at OPERATOR(pg_catalog.>) pg_catalog.now()'),
  {
    name: 'check_session: a replaced key stays good',
    threat: 'a copied cookie is good as long as its session, and nobody notices',
    edits: [
      {
        file: checkMigration,
        find: "'30 seconds'::pg_catalog.interval",
        replace: "'30 days'::pg_catalog.interval",
      },
    ],
    groups: ['platform-schema'],
  },
  {
    name: 'a session that is over is live by its id',
    threat: 'a stream of events outlasts its session',
    edits: [
      {
        file: 'migrations/tenant/0007_second_factor_policy.sql',
        find: 'RETURN live_session_id IS NOT NULL;',
        replace: 'RETURN current_token_hash IS NOT NULL;',
      },
    ],
    groups: ['platform-schema'],
  },
  unqualified(
    'the type of a variable',
    'current_token_hash pg_catalog.bytea;\nBEGIN',
    'current_token_hash bytea;\nBEGIN',
  ),
  unqualified('an operator', 's.token_hash OPERATOR(pg_catalog.=)', 's.token_hash ='),
  unqualified(
    'a function',
    's.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()',
    's.expires_at OPERATOR(pg_catalog.>) now()',
  ),
  {
    name: 'the app may read the users',
    threat: 'a flaw in an app gives away password hashes',
    edits: [
      {
        file: migration,
        find: "  EXECUTE format('GRANT USAGE ON SCHEMA freehold TO %I', current_database());",
        replace:
          "  EXECUTE format('GRANT USAGE ON SCHEMA freehold TO %I', current_database());\n  EXECUTE format('GRANT SELECT ON freehold.users TO %I', current_database());",
      },
    ],
    groups: ['platform-schema'],
  },
  {
    name: 'everybody may call every function of the platform',
    threat: 'a function that is added later is open to the app',
    edits: [{ file: migration, find: 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA freehold FROM PUBLIC;', replace: '' }],
    groups: ['platform-schema'],
  },
];
