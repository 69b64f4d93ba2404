import type { Id, UserId } from '#src/kernel/index.ts';

export type { ScimTokenUse } from './scim/scim-tokens-sql.ts';

export const roles = ['owner', 'admin', 'member'] as const;
export type Role = (typeof roles)[number];

export interface User {
  readonly userId: UserId;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly state: 'active' | 'disabled';
  readonly createdAt: Date;
  readonly lastSignInAt: Date | undefined;
}

/** Who makes this request; read from the tenant's own database on every request. */
export interface Session {
  readonly sessionId: Id<'ses'>;
  readonly user: Pick<User, 'userId' | 'email' | 'name' | 'role'>;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** The policy of the tenant asks for a second factor that the user has not: all they may do is set one up. Default false. */
  readonly mustEnrol?: boolean;
}

/** Who probably makes this request, and the question whose answer tells. Nothing of the request may be let out before. */
export interface PresumedSession {
  /** As it was confirmed in this process less than a minute ago. */
  readonly session: Session;
  /** To be asked as the app role in the tenant's own database. */
  readonly check: { readonly text: string; readonly values: readonly unknown[] };
  /**
   * Takes the answer: `session` itself when it is still exactly that, another one when it is good but changed, undefined when it is over.
   */
  read(rows: readonly object[]): Session | undefined;
}

export const tokenScopes = ['read', 'write'] as const;
/** `read`: requests with safe methods only. `write`: all that the user may do in the app. */
export type TokenScope = (typeof tokenScopes)[number];

/** Whose API token a request carries; read from the tenant's own database on every request. It is no session: it opens the app's API alone. */
export interface ApiTokenUse {
  readonly tokenId: Id<'tok'>;
  readonly scope: TokenScope;
  /** As the user is now, role included. */
  readonly user: Session['user'];
  readonly expiresAt: Date;
}
