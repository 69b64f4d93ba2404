import type { PlantedLeak } from './types.ts';

// The last that says what a good token is.
const migration = 'migrations/tenant/0017_plugins.sql';
const door = 'src/gateway/bearer.ts';
const guard = 'src/gateway/token-guard.ts';

export const apiTokenLeaks: readonly PlantedLeak[] = [
  {
    name: 'a token that reads may write',
    threat: 'a program that was meant to read changes what it likes',
    edits: [
      {
        file: door,
        find: "if (use.scope !== 'write' && !safeMethods.has(request.method)) {",
        replace: 'if (use.scope === undefined) {',
      },
    ],
    groups: ['api-tokens'],
  },
  {
    name: 'a token and a cookie may come together',
    threat: 'a token makes up for the check that keeps other sites from using the cookie',
    edits: [
      {
        file: 'src/gateway/tenant-app.ts',
        find: 'const isWithToken = bearerOf(request) !== undefined;\n    if (isWithToken) refuseAmbiguousCredentials(request);',
        replace: 'const isWithToken = bearerOf(request) !== undefined;',
      },
    ],
    groups: ['api-tokens'],
  },
  {
    name: 'tokens are taken everywhere',
    threat: 'a token that leaked makes tokens, users and passwords',
    edits: [
      {
        file: door,
        find: 'if (!request.routeConfig.acceptsTokens || !identity.checkToken)',
        replace: 'if (!identity.checkToken)',
      },
    ],
    groups: ['routes'],
  },
  {
    name: 'a token is remembered for a while',
    threat: 'a token that was revoked goes on',
    edits: [
      {
        file: guard,
        find: 'const good = new Set<string>();',
        replace: 'const good = new Set<string>();\n  const kept = new Map<string, unknown>();',
      },
      {
        file: guard,
        find: 'const found = await lookUp();',
        replace: 'const found = (kept.get(name) as T | undefined) ?? (await lookUp());\n    kept.set(name, found);',
      },
    ],
    groups: ['api-tokens'],
  },
  {
    name: 'the end of a token is not looked at',
    threat: 'a token that was given for a week is good for ever',
    edits: [
      {
        file: migration,
        find: '\n      AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now();',
        replace: ';',
      },
    ],
    groups: ['api-tokens'],
  },
  {
    name: "the state of a token's user is not looked at",
    threat: 'somebody who was disabled goes on with what was not removed',
    edits: [{ file: migration, find: "t.user_id AND u.state OPERATOR(pg_catalog.=) 'active'", replace: 't.user_id' }],
    groups: ['platform-schema'],
  },
  {
    name: 'a stream outlasts its token',
    threat: 'whoever had a token hears what happens for as long as the connection holds',
    edits: [
      {
        file: migration,
        find: 'RETURN live_token_id IS NOT NULL;',
        replace: 'RETURN true;',
      },
    ],
    groups: ['api-tokens'],
  },
  {
    name: 'check_token takes an operator from wherever the caller says',
    threat: "an app's own runs with the rights of the platform",
    edits: [
      {
        file: migration,
        find: "'active'\n    WHERE t.token_hash OPERATOR(pg_catalog.=)",
        replace: "'active'\n    WHERE t.token_hash =",
      },
    ],
    groups: ['platform-schema'],
  },
];
