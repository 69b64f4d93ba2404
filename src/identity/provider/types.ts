import type { TenantId } from '#src/kernel/index.ts';

/** The hosted app of a tenant: the only client that its provider knows. */
export interface ProviderClient {
  readonly clientId: string;
  /** Absolute; compared character by character (RFC 9700, 4.1.3). */
  readonly redirectUris: readonly string[];
  /** The same for where browsers may be sent when they have signed out. */
  readonly signedOutUris: readonly string[];
}

export interface ProviderTenant {
  readonly tenantId: TenantId;
  /** `https://NAME.DOMAIN[:PORT]/-/oidc`, no trailing slash. */
  readonly issuer: string;
  readonly client: ProviderClient;
}

export const scopes = ['openid', 'profile', 'email'] as const;
export type Scope = (typeof scopes)[number];

export interface AuthorizationRequest {
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly state: string | undefined;
  readonly nonce: string | undefined;
  readonly scope: readonly Scope[];
  /** True: nobody may be shown a page (`prompt=none`). */
  readonly isSilent: boolean;
  /** How long ago the person may have signed in at most; undefined: as long as the session lasts. */
  readonly maxAgeSeconds: number | undefined;
  /** The person has to sign in now (`prompt=login`, `select_account`). */
  readonly isAnew: boolean;
  /** When this very request has led to the sign-in page before; whoever has signed in since is not led there again. */
  readonly sentAtMs: number | undefined;
}

/** Codes of RFC 6749 (4.1.2.1, 5.2), RFC 6750 (3.1) and OpenID Connect Core (3.1.2.6). */
export type ProviderErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_token'
  | 'invalid_scope'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'login_required'
  | 'consent_required'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'registration_not_supported';

/** The answer of OAuth to a request that is refused: a code and a text for developers, never a secret. */
export class ProviderRefusal extends Error {
  readonly code: ProviderErrorCode;
  readonly status: number;
  constructor(code: ProviderErrorCode, description: string) {
    super(description);
    this.name = 'ProviderRefusal';
    this.code = code;
    this.status = code === 'invalid_client' || code === 'invalid_token' ? 401 : 400;
  }
}
