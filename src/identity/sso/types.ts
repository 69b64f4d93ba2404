import type { Id } from '#src/kernel/index.ts';
import type { Role } from '../types.ts';
import type { SignOnReason } from './reasons.ts';

export type ConnectionId = Id<'con'>;
export const connectionKinds = ['oidc', 'saml'] as const;
export type ConnectionKind = (typeof connectionKinds)[number];

/**
 * Whether a sign-in at the provider counts as one with a second factor. `own`: never; `evidence`: when the provider says so (acr, amr, AuthnContext);
 * `provider`: always, because an owner knows that the provider asks for one. Where it does not count, our own second step follows.
 */
export const factorTrusts = ['own', 'evidence', 'provider'] as const;
export type FactorTrust = (typeof factorTrusts)[number];

/** What is the same for every kind. */
export interface PeopleSettings {
  /** Makes users of people who are not known yet, in proven domains. */
  readonly createsUsers: boolean;
  /** Takes an address of a proven domain although the provider does not say that it is verified (Entra ID never does). What it says is false stays false. */
  readonly trustsEmails: boolean;
  readonly secondFactor: FactorTrust;
  /** Claim or attribute whose values make an admin of somebody; null: new users are members, and roles are given here. Owners are never touched. */
  readonly roleClaim: string | null;
  readonly adminValues: readonly string[];
}

export interface OidcSettings extends PeopleSettings {
  readonly issuer: string;
  readonly clientId: string;
}

export interface SamlSettings extends PeopleSettings {
  readonly idpEntityId: string;
  /** Of the NameID that somebody is known by; never changed, because the same text in another format would be another person. */
  readonly nameIdFormat: string;
  readonly ssoUrl: string;
  /** `isTyped`: by an owner, because the metadata name none. */
  readonly slo: {
    readonly url: string;
    readonly responseUrl: string;
    readonly binding: 'redirect' | 'post';
    readonly isTyped?: true;
  } | null;
  /** PEM. */
  readonly certificates: readonly string[];
  /** Keys that the provider took out of its metadata all at once. */
  readonly retiring?: { readonly certificates: readonly string[]; readonly until: string };
  /** Where the metadata came from; null: from a file. */
  readonly metadataUrl: string | null;
  /** When they were last read there, ISO 8601; absent: not since they were given. `problem`: why what was there was not taken. */
  readonly metadataReading?: {
    readonly triedAt: string;
    readonly readAt: string | null;
    readonly problem: SignOnReason | null;
    readonly problemSince: string | null;
  };
  /** Ours, public; the private keys are sealed beside them. */
  readonly ownCertificates: readonly string[];
  /** ISO 8601; null: the metadata name no end. */
  readonly validUntil: string | null;
}

interface ConnectionRow<K extends ConnectionKind, S> {
  readonly connectionId: ConnectionId;
  readonly kind: K;
  readonly name: string;
  readonly state: 'on' | 'off';
  readonly settings: S;
  /** Null: to be entered again, as in a copy of the tenant. */
  readonly sealedSecret: Buffer | null;
  readonly lastTest: SignOnTest | null;
  readonly changedAt: Date;
}
export type OidcConnection = ConnectionRow<'oidc', OidcSettings>;
export type SamlConnection = ConnectionRow<'saml', SamlSettings>;
export type Connection = OidcConnection | SamlConnection;

/** What a test found out, for the owner who made it. Whoever it was that signed in: nothing was done with them. */
export interface SignOnTest {
  /** ISO 8601. */
  readonly at: string;
  readonly passed: boolean;
  /** Why not; null when it passed. */
  readonly sentence: string | null;
  readonly email: string | null;
  readonly name: string | null;
  /** The role that the mapping gives. */
  readonly role: Role | null;
  /** Names of all that the provider told. */
  readonly claims: readonly string[];
  readonly secondFactor: boolean | null;
}

/** Somebody whom a provider vouches for. Every field was verified. */
export interface SignOnPerson {
  /** Who it is at this provider, for ever. */
  readonly subject: string;
  readonly email: string | undefined;
  /** Undefined: the provider does not say. */
  readonly isEmailVerified: boolean | undefined;
  readonly name: string | undefined;
  /** Of the role claim. */
  readonly roleValues: readonly string[];
  readonly hasFactorEvidence: boolean;
  readonly claims: readonly string[];
  /** SAML: what the session is called there, with the namespaces of the subject, and since when it is. */
  readonly sessionIndex?: string | undefined;
  readonly nameQualifier?: string | undefined;
  readonly spNameQualifier?: string | undefined;
  readonly authnInstant?: Date | undefined;
}

/** How somebody came, as the provider calls it: what finds a session when the provider ends it, and what the provider is told when it ends here. */
export interface SignOnWay {
  readonly connectionId: ConnectionId;
  readonly subject: string;
  readonly sessionIndex: string | null;
  readonly nameQualifier: string | null;
  readonly spNameQualifier: string | null;
}

export interface MailDomain {
  readonly domain: string;
  readonly connectionId: ConnectionId;
  /** Value of the TXT record at `_freehold-challenge.DOMAIN`. */
  readonly token: string;
  readonly provenAt: Date | null;
}

export interface SignOnPolicy {
  readonly enforced: boolean;
  /** Ids of the owners who may always use password and second factor. */
  readonly breakGlass: readonly string[];
}

/** The TXT records of a name, each with its parts put together; none, if there are none. Rejects if nobody could say. */
export type ResolveTxt = (name: string) => Promise<readonly string[]>;
