import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { Id, UserId } from '#src/kernel/index.ts';

export type {
  PublicKeyCredentialCreationOptionsJSON as PasskeyCreationOptions,
  PublicKeyCredentialRequestOptionsJSON as PasskeyRequestOptions,
} from '@simplewebauthn/server';

/** What a browser answers when a passkey was made; parsed by a schema, believed in nothing. */
export type PasskeyAttestation = RegistrationResponseJSON;
/** What it answers when one was shown. */
export type PasskeyAssertion = AuthenticationResponseJSON;

/** The tenant as authenticators know it: from the registry and the configuration, never from a request. */
export interface RelyingParty {
  /** The tenant's exact host. A passkey works there and nowhere else. */
  readonly id: string;
  /** `https://NAME.DOMAIN[:PORT]` */
  readonly origin: string;
  readonly title: string;
}

/** What a challenge is for; one of another purpose is none. */
export type PasskeyPurpose = 'register' | 'confirm' | 'second_step' | 'sign_in';

/** A passkey that signed a challenge of ours. It counts once its counter is written: `acceptPasskey`. */
export interface ProvenPasskey {
  readonly passkeyId: Id<'pky'>;
  readonly userId: UserId;
  readonly counter: number;
  readonly isBackedUp: boolean;
}

export interface PasskeySummary {
  readonly passkeyId: Id<'pky'>;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  /** A password manager keeps copies of it. */
  readonly isBackedUp: boolean;
  /** It works on this host only: another one than today's, if the tenant was renamed since. */
  readonly host: string;
}
