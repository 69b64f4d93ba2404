/** Provisioning, as `/-/api` speaks of it. Dates are ISO 8601 strings. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../design/index.ts';

export interface ScimToken {
  readonly tokenId: string;
  readonly name: string;
  readonly createdByName?: string | null;
  /** Made by an owner: it may disable and enable owners, too. */
  readonly byOwner: boolean;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly expired: boolean;
  /** Null: never. */
  readonly lastUsedAt?: string | null;
  readonly lastUsedRange?: string | null;
  readonly lastUsedAgent?: string | null;
}

export type GroupRole = 'admin' | 'member' | null;

export interface ScimGroup {
  readonly groupId: string;
  readonly displayName: string;
  /** Null: the group says nothing about roles. */
  readonly role: GroupRole;
  readonly memberCount: number;
}

export interface ScimSettings {
  readonly baseUrl: string;
  readonly tokens: readonly ScimToken[];
  readonly groups: readonly ScimGroup[];
}

/** For admins and owners. */
export const scimQuery = queryOptions({
  queryKey: ['scim'],
  queryFn: ({ signal }) => apiFetch<ScimSettings>('/-/api/scim', { signal }),
});
