import type { PlantedLeak } from './types.ts';

export const scimLeaks: readonly PlantedLeak[] = [
  {
    name: 'the end of a SCIM token is not looked at',
    threat: 'a directory that was let in for a month keeps users for ever',
    edits: [
      {
        file: 'src/identity/scim/scim-tokens-sql.ts',
        find: 'FROM freehold.scim_tokens WHERE token_hash = $1 AND expires_at > now()`,',
        replace: 'FROM freehold.scim_tokens WHERE token_hash = $1`,',
      },
    ],
    groups: ['scim'],
  },
  {
    name: 'a directory may disable the last owner',
    threat: 'nobody can undo what a stolen token did',
    edits: [
      {
        file: 'src/identity/scim/scim-users.ts',
        find: "if (user.role !== 'owner') return;",
        replace: "if (user.role !== 'owner' || use.byOwner) return;",
      },
    ],
    groups: ['scim'],
  },
  {
    name: 'a SCIM token may come with a cookie',
    threat: 'a request says in two ways who makes it, and chance decides',
    edits: [
      {
        file: 'src/gateway/tenant-app.ts',
        find: 'const isWithToken = bearerOf(request) !== undefined;\n    if (isWithToken) refuseAmbiguousCredentials(request);',
        replace:
          'const isWithToken = bearerOf(request) !== undefined;\n    if (isWithToken && !request.routeConfig.acceptsScimTokens) refuseAmbiguousCredentials(request);',
      },
    ],
    groups: ['scim'],
  },
  {
    name: 'a copy keeps the tokens of directories',
    threat: 'the directory of the original disables people of the copy',
    edits: [
      {
        file: 'src/identity/users/invitations-sql.ts',
        find: "  await db.query('DELETE FROM freehold.scim_tokens');\n",
        replace: '',
      },
    ],
    groups: ['scim'],
  },
  {
    name: 'who a directory disables keeps their sessions',
    threat: 'somebody who has left the company goes on',
    edits: [
      {
        file: 'src/identity/users/user-state.ts',
        find: '  await updateState(db, userId, state);\n  await deleteSessions(db, userId);',
        replace: '',
      },
    ],
    groups: ['scim'],
  },
];
