/** Web Authentication as we use it: what is asked of browsers, and what is believed of their answers. Knows no database and no session. */
import type { verifyAuthenticationResponse } from '@simplewebauthn/server';
import { hashToken } from '../sessions/cookie.ts';
import type { PasskeyRow } from './passkey-sql.ts';
import type {
  PasskeyAssertion,
  PasskeyAttestation,
  PasskeyCreationOptions,
  PasskeyRequestOptions,
  RelyingParty,
} from './types.ts';

/** For somebody to find their telephone, and no longer. */
export const passkeyLifetimeSeconds = 300;
/** Ed25519, ES256, RS256 (COSE numbers), in the order of our choice. */
export const passkeyAlgorithms = [-8, -7, -257];
const challengeBytes = 32;

/** Loaded with the first passkey: it brings a reader of certificates, and everybody imports `identity`. */
const webAuthentication = () => import('@simplewebauthn/server');

type Helpers = typeof import('@simplewebauthn/server/helpers');
type Known = Pick<PasskeyRow, 'credentialId' | 'transports'>;

const descriptorOf = ({ credentialId, transports }: Known) => ({
  id: credentialId.toString('base64url'),
  transports: transports as NonNullable<Parameters<typeof verifyAuthenticationResponse>[0]['credential']['transports']>,
});

/**
 * What makes a passkey: discoverable and with user verification, so that each is two factors by itself (something one has, and a finger, face or PIN).
 * No attestation: nobody is told which make of authenticator it is.
 */
export async function creationOptions(order: {
  readonly party: RelyingParty;
  readonly challenge: Uint8Array;
  readonly user: { readonly handle: Buffer; readonly email: string; readonly name: string };
  /** What the user has already. */
  readonly known: readonly Known[];
}): Promise<PasskeyCreationOptions> {
  const { party, challenge, user, known } = order;
  const { generateRegistrationOptions } = await webAuthentication();
  return generateRegistrationOptions({
    rpID: party.id,
    rpName: party.title,
    userID: new Uint8Array(user.handle),
    userName: user.email,
    userDisplayName: user.name,
    challenge: new Uint8Array(challenge),
    timeout: passkeyLifetimeSeconds * 1000,
    attestationType: 'none',
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: passkeyAlgorithms,
    excludeCredentials: known.map(descriptorOf),
  });
}

/** What shows one: one of `allowed`, or whichever the user chooses. */
export async function requestOptions(order: {
  readonly party: RelyingParty;
  readonly challenge: Uint8Array;
  readonly allowed: readonly Known[];
}): Promise<PasskeyRequestOptions> {
  const { generateAuthenticationOptions } = await webAuthentication();
  return generateAuthenticationOptions({
    rpID: order.party.id,
    challenge: new Uint8Array(order.challenge),
    timeout: passkeyLifetimeSeconds * 1000,
    userVerification: 'required',
    allowCredentials: order.allowed.map(descriptorOf),
  });
}

/** The hash of the challenge that an answer says it is for. Undefined: it says none of ours. */
export function readChallengeHash(clientDataJSON: string): Buffer | undefined {
  try {
    const { challenge } = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'));
    const bytes = Buffer.from(challenge, 'base64url');
    return bytes.length === challengeBytes && bytes.toString('base64url') === challenge ? hashToken(bytes) : undefined;
  } catch {
    return undefined;
  }
}

function isOf(challenge: string, hash: Buffer): boolean {
  return hashToken(Buffer.from(challenge, 'base64url')).equals(hash);
}

/** Pages of others that show ours in a frame ask for nobody's passkey. The package lets them where the browser does not say whose page it is. */
function isFramed(clientDataJSON: string): boolean {
  const { crossOrigin, topOrigin } = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'));
  return (crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined;
}

/** What was asked: the challenge that the caller has used up, and the party as it was when it was made. */
interface Expected {
  readonly challengeHash: Buffer;
  readonly rpId: string;
  readonly origin: string;
}

export interface NewCredential {
  readonly credentialId: Buffer;
  readonly publicKey: Buffer;
  readonly counter: number;
  readonly transports: string[];
  readonly isBackupEligible: boolean;
  readonly isBackedUp: boolean;
}

/** Undefined: it is not what was asked for. */
export async function verifyAttestation(
  answer: PasskeyAttestation,
  { challengeHash, rpId, origin }: Expected,
): Promise<NewCredential | undefined> {
  const { verifyRegistrationResponse } = await webAuthentication();
  const { decodeAttestationObject, isoCBOR } = await import('@simplewebauthn/server/helpers');
  try {
    if (isFramed(answer.response.clientDataJSON)) return undefined;
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: withoutStatement(answer, { decodeAttestationObject, isoCBOR }),
      expectedChallenge: (challenge) => isOf(challenge, challengeHash),
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: passkeyAlgorithms,
    });
    if (!verified) return undefined;
    const { credential, credentialDeviceType, credentialBackedUp } = registrationInfo;
    if (credential.id !== answer.id) return undefined;
    return {
      credentialId: Buffer.from(credential.id, 'base64url'),
      publicKey: Buffer.from(credential.publicKey),
      counter: credential.counter,
      transports: knownTransports(answer.response.transports),
      isBackupEligible: credentialDeviceType === 'multiDevice',
      isBackedUp: credentialBackedUp,
    };
  } catch {
    // Malformed, of another site, not verified: nobody is told which.
    return undefined;
  }
}

/**
 * Statements about the make of an authenticator were not asked for and are not looked at, so no certificate that a stranger wrote is parsed, and no list of revoked
 * ones fetched from where it says (Web Authentication, 8.7).
 */
function withoutStatement(
  answer: PasskeyAttestation,
  { decodeAttestationObject, isoCBOR }: Pick<Helpers, 'decodeAttestationObject' | 'isoCBOR'>,
): PasskeyAttestation {
  const decoded = decodeAttestationObject(new Uint8Array(Buffer.from(answer.response.attestationObject, 'base64url')));
  const bare = new Map<string, unknown>([
    ['fmt', 'none'],
    ['attStmt', new Map()],
    ['authData', decoded.get('authData')],
  ]);
  const attestationObject = Buffer.from(isoCBOR.encode(bare as Parameters<typeof isoCBOR.encode>[0]));
  return { ...answer, response: { ...answer.response, attestationObject: attestationObject.toString('base64url') } };
}

const transportNames = ['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb'];

function knownTransports(given: readonly string[] | undefined): string[] {
  return transportNames.filter((name) => given?.includes(name));
}

/** The caller compares the counter. Undefined: this passkey did not sign it here, with its user verified. */
export async function verifyAssertion(
  answer: PasskeyAssertion,
  { challengeHash, rpId, origin }: Expected,
  passkey: PasskeyRow,
): Promise<{ readonly counter: number; readonly isBackedUp: boolean } | undefined> {
  const { verifyAuthenticationResponse } = await webAuthentication();
  try {
    if (isFramed(answer.response.clientDataJSON)) return undefined;
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: answer,
      expectedChallenge: (challenge) => isOf(challenge, challengeHash),
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      // As if it had never been used: a counter that does not grow is a finding of its own.
      credential: { ...descriptorOf(passkey), publicKey: new Uint8Array(passkey.publicKey), counter: 0 },
    });
    if (!verified) return undefined;
    const { newCounter, credentialDeviceType, credentialBackedUp } = authenticationInfo;
    // Level 3, 7.2, step 18: whether it may be copied is decided once and for all.
    if ((credentialDeviceType === 'multiDevice') !== passkey.isBackupEligible) return undefined;
    return { counter: newCounter, isBackedUp: credentialBackedUp };
  } catch {
    return undefined;
  }
}
