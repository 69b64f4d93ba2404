/** What the account pages ask of `/-/api`: shapes and queries, one place. Dates are ISO 8601 strings. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { apiFetch } from '../design/index.ts';

export type Role = 'owner' | 'admin' | 'member';

export interface TenantInfo {
  readonly name: string;
  readonly title: string;
  readonly app: string;
}

export interface User {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly state: 'active' | 'disabled';
  readonly createdAt: string;
  readonly lastSignInAt?: string | null;
}

export type SessionUser = Pick<User, 'userId' | 'email' | 'name' | 'role'>;

export interface Device {
  readonly sessionId: string;
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly expiresAt: string;
  readonly address?: string | null;
  readonly userAgent?: string | null;
  readonly current: boolean;
}

export interface Invitation {
  readonly invitationId: string;
  readonly email: string;
  readonly role: Role;
  readonly invitedBy?: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface SecurityEvent {
  readonly eventId: string;
  readonly name: string;
  readonly meaning: string;
  readonly actor: string;
  /** Name of the user who acted, or whom it concerns, if it is one. */
  readonly actorName?: string | null;
  readonly subject: string;
  readonly subjectName?: string | null;
  readonly address?: string | null;
  readonly recordedAt: string;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** What an owner is told about backups; null: none yet. */
export interface TenantBackups {
  readonly lastBackup: { readonly finishedAt: string } | null;
  readonly lastVerification: {
    readonly finishedAt: string;
    readonly kind: 'backup' | 'dump';
    readonly passed: boolean;
  } | null;
  readonly dump: {
    readonly dumpId: string;
    readonly madeAt: string;
    readonly sizeBytes: number;
    readonly regions: number;
    readonly unchangedUntil: string | null;
    readonly verification: { readonly finishedAt: string; readonly passed: boolean } | null;
    /** In no copy at all. */
    readonly unloggedTables: readonly string[];
  } | null;
  readonly restorable: { readonly from: string; readonly to: string } | null;
  /** Null: nobody says. */
  readonly location: {
    readonly home: string | null;
    readonly copies: readonly (string | null)[];
    readonly residency: { readonly home: readonly string[]; readonly copies: readonly string[] } | null;
  };
}

export const backupsQuery = queryOptions({
  queryKey: ['backups'],
  queryFn: ({ signal }) => apiFetch<TenantBackups>('/-/api/backups', { signal }),
});

export const tenantQuery = queryOptions({
  queryKey: ['tenant'],
  queryFn: ({ signal }) => apiFetch<TenantInfo>('/-/api/tenant', { signal }),
  staleTime: 60_000,
});

/** The tenant's title for headings; its host label until the answer is there, so that nothing jumps. */
export function useTenantTitle(): string {
  const { data } = useQuery(tenantQuery);
  return data?.title ?? window.location.hostname.split('.')[0] ?? 'Freehold';
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) =>
    apiFetch<{ user: SessionUser; session: { mustEnrol?: boolean } }>('/-/api/session', { signal }),
});

/** `expiresAt` null: no sign-in waits for its code in this browser. */
export const awaitedSignInQuery = queryOptions({
  queryKey: ['awaited-sign-in'],
  queryFn: ({ signal }) =>
    apiFetch<{ expiresAt: string | null; app: boolean; passkeys: boolean }>('/-/api/session/second-factor', { signal }),
  gcTime: 0,
  staleTime: 0,
  refetchOnWindowFocus: false,
});

export interface Passkey {
  readonly passkeyId: string;
  readonly name: string;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  readonly isBackedUp: boolean;
  /** The only one that it works on. */
  readonly host: string;
}

/** `enrolledAt` null: no app is set up. */
export interface SecondFactorState {
  readonly enrolledAt: string | null;
  readonly recoveryCodesLeft: number;
  readonly passkeys: readonly Passkey[];
}

export const secondFactorQuery = queryOptions({
  queryKey: ['second-factor'],
  queryFn: ({ signal }) => apiFetch<SecondFactorState>('/-/api/second-factor', { signal }),
});

/** `enrolled`: ids of the users who have a second factor. */
export interface FactorPolicy {
  readonly requiredOf: 'off' | 'admins' | 'everyone';
  readonly enrolled: readonly string[];
}

export const factorPolicyQuery = queryOptions({
  queryKey: ['second-factor-policy'],
  queryFn: ({ signal }) => apiFetch<FactorPolicy>('/-/api/second-factor-policy', { signal }),
});

/** Why the session that this browser still has the cookie of was ended; nulls: in an ordinary way. */
export const sessionEndQuery = queryOptions({
  queryKey: ['session-end'],
  queryFn: ({ signal }) =>
    apiFetch<{ reason: string | null; endedAt: string | null }>('/-/api/session-end', { signal }),
});

/** A session of this user that was ended because an old key of it came back. */
export interface SessionNotice {
  readonly sessionId: string;
  readonly reason: string;
  readonly endedAt: string;
  readonly userAgent?: string | null;
  readonly address?: string | null;
}

export const sessionNoticesQuery = queryOptions({
  queryKey: ['session-notices'],
  queryFn: async ({ signal }) =>
    (await apiFetch<{ notices: SessionNotice[] }>('/-/api/session-notices', { signal })).notices,
});

export const devicesQuery = queryOptions({
  queryKey: ['sessions'],
  queryFn: async ({ signal }) => (await apiFetch<{ sessions: Device[] }>('/-/api/sessions', { signal })).sessions,
});

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: async ({ signal }) => (await apiFetch<{ users: User[] }>('/-/api/users', { signal })).users,
});

export const invitationsQuery = queryOptions({
  queryKey: ['invitations'],
  queryFn: async ({ signal }) =>
    (await apiFetch<{ invitations: Invitation[] }>('/-/api/invitations', { signal })).invitations,
});
