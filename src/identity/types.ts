import type { Id, UserId } from '#src/kernel/index.ts';

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
}
