import type { RefusalCode } from './refusals.ts';

/** What the connection of one tenant says about its identity provider; nothing of it is ever taken from a message. */
export interface Trust {
  readonly spEntityId: string;
  readonly idpEntityId: string;
  /** Signing certificates of the identity provider, PEM; at least one that is valid now, or everything is refused. */
  readonly certificates: readonly string[];
  /** How far the clocks may be apart, 0 to 300 000; default 60 000. */
  readonly clockSkewMs?: number;
}

export interface ExpectedResponse extends Trust {
  /** The address of our assertion consumer service, compared byte by byte with Destination and Recipient. */
  readonly acsUrl: string;
  /** Our private keys for encrypted assertions, PEM (PKCS #8), the newest first; none: encrypted assertions are refused. */
  readonly decryptionKeys?: readonly string[];
  /** The open requests of this browser; the answer must be to one of them. Default none. */
  readonly requestIds?: readonly string[];
  /** Takes an answer that nobody asked for (sign-in started at the identity provider). It must then have no InResponseTo at all. Default false. */
  readonly allowUnsolicited?: boolean;
  /** The format that the connection was set up with; another is refused, because the same text would be another person. Default: any known one. */
  readonly nameIdFormat?: string;
}

/** Every field was read from bytes under a verified signature. */
export interface Assertion {
  /** To be consumed once, together with `issuer`, until `notOnOrAfter` plus the clock skew. */
  readonly id: string;
  readonly issuer: string;
  readonly nameId: string;
  /** A URI; `urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified` where the identity provider says nothing. */
  readonly nameIdFormat: string;
  /** NameQualifier and SPNameQualifier, to be sent back in a LogoutRequest. */
  readonly nameQualifier?: string;
  readonly spNameQualifier?: string;
  readonly sessionIndex?: string;
  /** By Name, in document order; values of attributes with the same Name are joined. A map, so that `__proto__` is a name like any other. At most 200 names with 1 000 values. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
  /** The request that this answers, from the signed part; undefined: unsolicited. */
  readonly inResponseTo?: string;
  /** AuthnContextClassRef. */
  readonly authnContext?: string;
  /** When the person was authenticated at the identity provider. */
  readonly authnInstant: Date;
  /** The earliest of all ends named in the assertion, without clock skew. */
  readonly notOnOrAfter: Date;
  readonly sessionNotOnOrAfter?: Date;
}

/** `sentence` is for an administrator and has nothing of the document in it; a person who signs in gets neither. */
export interface Refusal {
  readonly ok: false;
  readonly reason: RefusalCode;
  readonly sentence: string;
}

export type ResponseVerdict = { readonly ok: true; readonly assertion: Assertion } | Refusal;

/** How a logout message came: the form field of a POST, or the query string of a GET exactly as it was received (without `?`). */
export type LogoutMessage =
  | { readonly binding: 'post'; readonly message: string; readonly relayState?: string }
  | { readonly binding: 'redirect'; readonly rawQuery: string };

export interface ExpectedLogout extends Trust {
  /** Our single log-out address. */
  readonly sloUrl: string;
  /** Our private keys for an encrypted name, as for assertions; none: such a request is refused. */
  readonly decryptionKeys?: readonly string[];
}

export interface LogoutRequest {
  readonly id: string;
  readonly issuer: string;
  readonly nameId: string;
  readonly nameIdFormat: string;
  /** Namespaces of the name, as the identity provider gave them. */
  readonly nameQualifier?: string;
  readonly spNameQualifier?: string;
  /** Empty: all sessions of this name. */
  readonly sessionIndexes: readonly string[];
  readonly relayState?: string;
  /** Until when the id must be remembered so that the message works once. */
  readonly notOnOrAfter: Date;
}

export type LogoutRequestVerdict = { readonly ok: true; readonly request: LogoutRequest } | Refusal;

export interface LogoutResponse {
  readonly id: string;
  readonly issuer: string;
  readonly inResponseTo: string;
  /** False: the identity provider could not sign everyone out. */
  readonly isSuccess: boolean;
  readonly relayState?: string;
}

export type LogoutResponseVerdict = { readonly ok: true; readonly response: LogoutResponse } | Refusal;

/** What was understood of an identity provider's metadata. */
export interface IdpMetadata {
  readonly entityId: string;
  /** SingleSignOnService with the HTTP-Redirect binding, https. */
  readonly ssoUrl: string;
  /** SingleLogoutService, https, redirect binding preferred. */
  readonly slo?: { readonly url: string; readonly responseUrl: string; readonly binding: 'redirect' | 'post' };
  /** PEM, in document order, at most 10. */
  readonly certificates: readonly string[];
  readonly wantsSignedRequests: boolean;
  /** The earliest validUntil; undefined where it names none. */
  readonly validUntil?: Date;
}

/** What metadata must agree with when they are read again for a connection that is there. */
export interface MetadataExpectations {
  /** Must be the entity ID. Default: any. */
  readonly entityId?: string;
  /** Certificates that the metadata must be signed with, PEM, then only what is signed is read. Default: a signature is not looked at. */
  readonly certificates?: readonly string[];
}

export type MetadataVerdict = { readonly ok: true; readonly metadata: IdpMetadata } | Refusal;

/**
 * Judges messages of identity providers, in worker threads with limits on bytes, structure, memory and time. Never throws for a message,
 * whatever is in it. What an answer does not judge: whether `assertion.id` was seen before, the rule of one browser's request ids, who the
 * person is. Those are the flow’s; catalogue.fixture.ts lists the numbers.
 *
 * `from` names whose messages these are: those of one wait for each other, and a flood of them does not hold up others. Default: nobody's.
 */
export interface SamlEngine {
  /** `samlResponse`: the form field, base64. */
  verifyResponse(input: {
    readonly samlResponse: string;
    readonly expected: ExpectedResponse;
    readonly from?: string;
  }): Promise<ResponseVerdict>;
  verifyLogoutRequest(input: {
    readonly received: LogoutMessage;
    readonly expected: ExpectedLogout;
    readonly from?: string;
  }): Promise<LogoutRequestVerdict>;
  verifyLogoutResponse(input: {
    readonly received: LogoutMessage;
    readonly expected: ExpectedLogout & { readonly requestIds: readonly string[] };
    readonly from?: string;
  }): Promise<LogoutResponseVerdict>;
  /** At most 1 MiB, UTF-8, one EntityDescriptor with one IDPSSODescriptor. */
  parseIdpMetadata(xml: string, expected?: MetadataExpectations, from?: string): Promise<MetadataVerdict>;
  createAuthnRequest(input: AuthnRequestInput): OutgoingMessage;
  createLogoutRequest(input: LogoutRequestInput): OutgoingMessage;
  createLogoutResponse(input: LogoutResponseInput): OutgoingMessage;
  /** Ends the workers; what was under way is refused as `unavailable`. */
  stop(): Promise<void>;
}

/** Our own key for signing requests: private key and certificate, PEM. RSA only: not every identity provider takes ECDSA. */
export interface SigningKey {
  readonly privateKey: string;
}

export interface AuthnRequestInput {
  /** Where the identity provider takes requests (HTTP-Redirect). */
  readonly ssoUrl: string;
  readonly acsUrl: string;
  readonly spEntityId: string;
  /** Opaque to the identity provider, at most 80 bytes (SAML bindings 3.4.3). */
  readonly relayState?: string;
  /** Asks that the person proves who they are again. Default false. */
  readonly forceAuthn?: boolean;
  /** Asked for with comparison exact; default none, which leaves it to the identity provider. */
  readonly authnContexts?: readonly string[];
  readonly nameIdFormat?: string;
  /** Signs the query string (RSA-SHA256). */
  readonly signWith?: SigningKey;
}

export interface OutgoingMessage {
  /** `_` and 160 random bits in hex; to be remembered for the answer. */
  readonly id: string;
  /** To redirect the browser to. */
  readonly url: string;
}

export interface LogoutRequestInput {
  readonly sloUrl: string;
  readonly spEntityId: string;
  readonly nameId: string;
  readonly nameIdFormat: string;
  readonly nameQualifier?: string;
  readonly spNameQualifier?: string;
  readonly sessionIndexes?: readonly string[];
  readonly relayState?: string;
  readonly signWith: SigningKey;
}

export interface LogoutResponseInput {
  /** `slo.responseUrl` of the identity provider. */
  readonly sloUrl: string;
  readonly spEntityId: string;
  readonly inResponseTo: string;
  readonly isSuccess: boolean;
  readonly relayState?: string;
  readonly signWith: SigningKey;
}

export interface ServiceProvider {
  readonly spEntityId: string;
  readonly acsUrl: string;
  readonly sloUrl?: string;
  /** Certificates, PEM: for signing (ours), and those whose key opens encrypted assertions. */
  readonly signingCertificates: readonly string[];
  readonly encryptionCertificates: readonly string[];
}
