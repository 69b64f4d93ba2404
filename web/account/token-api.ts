/** API tokens, as `/-/api` speaks of them. Dates are ISO 8601 strings. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../design/index.ts';

export type TokenScope = 'read' | 'write';

export interface ApiToken {
  readonly tokenId: string;
  readonly userId: string;
  readonly userName: string;
  readonly name: string;
  readonly scope: TokenScope;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly expired: boolean;
  /** To the minute, at most once an hour; null: never. */
  readonly lastUsedAt?: string | null;
  /** A network, for example 192.0.2.0/24. */
  readonly lastUsedRange?: string | null;
  readonly lastUsedAgent?: string | null;
}

export interface NewApiToken {
  readonly tokenId: string;
  /** Shown this once: only a hash of it is kept. */
  readonly token: string;
}

export const ownTokensQuery = queryOptions({
  queryKey: ['api-tokens', 'own'],
  queryFn: async ({ signal }) => (await apiFetch<{ tokens: ApiToken[] }>('/-/api/tokens', { signal })).tokens,
});

/** For admins and owners. */
export const allTokensQuery = queryOptions({
  queryKey: ['api-tokens', 'all'],
  queryFn: async ({ signal }) => (await apiFetch<{ tokens: ApiToken[] }>('/-/api/users/tokens', { signal })).tokens,
});

export const scopeWords: Record<TokenScope, { readonly label: string; readonly may: string }> = {
  read: { label: 'Read', may: 'look at everything that you may see in the app, and change nothing' },
  write: { label: 'Read and write', may: 'do everything in the app that you may do' },
};

/** `report/2.1`, the first word of what the program calls itself; the whole text stays available on hover. */
export function describeProgram(agent: string | null | undefined): string {
  return agent?.trim().split(/\s/)[0]?.slice(0, 40) || 'a program without a name';
}
