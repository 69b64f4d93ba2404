import { encryptionCases } from './catalogue-encryption.fixture.ts';
import { parserCases } from './catalogue-parser.fixture.ts';
import { profileCases } from './catalogue-profile.fixture.ts';
import { signatureCases } from './catalogue-signature.fixture.ts';
import { wrappingCases } from './catalogue-wrapping.fixture.ts';
import type { Mode, World } from './idp.fixture.ts';
import type { RefusalCode } from './refusals.ts';
import type { ExpectedResponse } from './types.ts';

/** One attack, made into one document for each of its modes. */
export interface AttackCase {
  /** Number in the catalogue, with a letter where one number has several documents. */
  readonly number: string;
  readonly title: string;
  readonly modes: readonly Mode[];
  /** Why it is refused, in every mode or by mode. */
  readonly reason: RefusalCode | Readonly<Partial<Record<Mode, RefusalCode>>>;
  /** The text of the response, or the form field itself where the attack is in its encoding. */
  make(world: World, mode: Mode): string | { readonly field: string } | Promise<string | { readonly field: string }>;
  /** What the connection says, where it is not the usual. */
  expected?(usual: ExpectedResponse, world: World): ExpectedResponse | Promise<ExpectedResponse>;
}

/**
 * The catalogue of attacks on SAML service providers, as far as one message can be an attack by itself: 1 to 97 and 113 to 117.
 * Not here: 44, 63 and 119 are about metadata and log-out (metadata.test.ts, logout.test.ts); 110 and 112 (the engine's part) as well.
 */
export const catalogue: readonly AttackCase[] = [
  ...wrappingCases,
  ...signatureCases,
  ...parserCases,
  ...profileCases,
  ...encryptionCases,
];

/** What no single message shows: these are for the flow around the engine, src/identity/sso, and named in its tests. */
export const flowCases = {
  95: 'unsolicited response where the connection does not take them (the engine refuses; the flow must pass the right options)',
  96: 'InResponseTo that we never sent (the engine refuses what is not in requestIds; the flow must pass only open requests)',
  97: 'InResponseTo only on the unsigned Response (the engine refuses)',
  98: "the request id of another browser (log-in CSRF): requestIds holds this browser's only",
  99: "the request id of another tenant: requestIds holds this tenant's only",
  100: 'the same response twice, one after the other',
  101: 'the same response 1 000 times at once',
  102: 'the same response again after a restart',
  103: 'the same response at another worker',
  104: 'a response for tenant A at the address of tenant B (the engine refuses by Destination, Recipient and Audience)',
  105: 'a parameter that chooses the connection: the connection comes from the request that was stored',
  106: 'RelayState with an absolute address, //, backslash, javascript:, line breaks',
  107: 'a refused response must not use up the request id of the person',
  108: 'the address for responses by GET',
  109: "markup in the identity provider's messages: nothing of the document is in a refusal",
  110: 'LogoutRequest without signature (the engine refuses)',
  111: "LogoutRequest for a person of another tenant or connection: sessions are found by the tenant's own connection",
  112: 'open redirect after log-out: only the stored SLO address of the connection is a target',
  118: 'the address of metadata as a door into the network (SSRF)',
  119: 'metadata of another entity, or expired (the engine refuses when entityId is passed)',
  120: 'somebody who is no admin sets up a connection',
  121: 'a connection for a domain that was not proven',
  122: 'attributes called __proto__, role, isAdmin: attributes are a Map, roles come from the mapping only',
  123: 'a just-in-time user who becomes an administrator of the operator',
  124: 'sign-in by SAML around a mandatory second factor: authnContext must be on the list of the connection',
} as const;
