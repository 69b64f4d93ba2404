/** Single sign-on, as `/-/api` speaks of it. Dates are ISO 8601 strings. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../design/index.ts';

export interface SignOnTest {
  readonly at: string;
  readonly passed: boolean;
  /** Why not. */
  readonly sentence: string | null;
  readonly email: string | null;
  readonly name: string | null;
  readonly role: string | null;
  /** Names of what the provider told. */
  readonly claims: readonly string[];
  readonly secondFactor: boolean | null;
}

export type FactorTrust = 'own' | 'evidence' | 'provider';

export interface CertificateFacts {
  /** SHA-256. */
  readonly fingerprint: string;
  readonly validTo: string;
}

export interface Connection {
  readonly connectionId: string;
  readonly kind: 'oidc' | 'saml';
  readonly name: string;
  readonly state: 'on' | 'off';
  /** False in a copy of a tenant: the secret is to be entered again. */
  readonly hasSecret: boolean;
  readonly settings: {
    readonly issuer?: string;
    readonly clientId?: string;
    /** SAML from here on. */
    readonly idpEntityId?: string;
    readonly ssoUrl?: string;
    readonly nameIdFormat?: string;
    readonly metadataUrl?: string | null;
    /** When the metadata were last read at their address, and in a sentence why what was there was not taken. */
    readonly metadataReading?: {
      readonly readAt: string | null;
      readonly problem: string | null;
      readonly problemSince: string | null;
    };
    /** Until then keys count, too, that the provider took out of its metadata all at once. */
    readonly retiringUntil?: string;
    readonly slo?: { readonly url: string; readonly binding: 'redirect' | 'post'; readonly isTyped?: boolean } | null;
    readonly certificates?: readonly CertificateFacts[];
    readonly ownCertificates?: readonly CertificateFacts[];
    readonly createsUsers: boolean;
    readonly trustsEmails: boolean;
    readonly secondFactor: FactorTrust;
    readonly roleClaim: string | null;
    readonly adminValues: readonly string[];
  };
  readonly lastTest: SignOnTest | null;
}

export interface MailDomain {
  readonly domain: string;
  readonly connectionId: string;
  readonly recordName: string;
  readonly token: string;
  readonly provenAt: string | null;
}

export interface SignOnSettings {
  readonly connections: readonly Connection[];
  readonly domains: readonly MailDomain[];
  readonly enforced: boolean;
  /** Ids of the owners who may always use their password. */
  readonly breakGlass: readonly string[];
  readonly addresses: { readonly redirectUri: string; readonly entityId: string; readonly acsUrl: string };
}

export const signOnSettingsQuery = queryOptions({
  queryKey: ['sign-on', 'settings'],
  queryFn: ({ signal }) => apiFetch<SignOnSettings>('/-/api/sign-on/settings', { signal }),
});

/** What the sign-in page offers. */
export const offeredQuery = queryOptions({
  queryKey: ['sign-on', 'offered'],
  queryFn: ({ signal }) =>
    apiFetch<{ enforced: boolean; connections: { connectionId: string; name: string }[] }>('/-/api/sign-on', {
      signal,
    }),
  staleTime: 60_000,
});

/** Leaves for the provider. */
export async function goToProvider(path: string, body?: object): Promise<void> {
  const { url } = await apiFetch<{ url: string }>(path, { method: 'POST', ...(body && { body }) });
  window.location.assign(url);
}

/** Leaves for the provider of the address's domain. @returns false: there is none, which says nothing about whether anybody has the address */
export async function goToProviderOf(email: string, next: string | undefined): Promise<boolean> {
  const { connectionId } = await apiFetch<{ connectionId: string | null }>('/-/api/sign-on/discover', {
    method: 'POST',
    body: { email },
  });
  if (connectionId === null) return false;
  await goToProvider('/-/api/sign-on/start', { connectionId, email, ...(next && { next }) });
  return true;
}
