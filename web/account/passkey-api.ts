/** Passkeys as this page asks the browser for them. What goes wrong there is a `ProblemError`, as what the server refuses. */
import {
  type AuthenticationResponseJSON,
  browserSupportsWebAuthn,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  startAuthentication,
  startRegistration,
  WebAuthnError,
} from '@simplewebauthn/browser';
import { apiFetch, ProblemError } from '../design/index.ts';
import type { Shown } from './useConfirmation.tsx';

export { browserSupportsWebAuthnAutofill, WebAuthnAbortService } from '@simplewebauthn/browser';
export type PasskeyAssertion = AuthenticationResponseJSON;

/** Whether this browser knows passkeys at all. */
export const knowsPasskeys = browserSupportsWebAuthn();

/** `optionsPath`: where the server says what to ask for. `autofill`: only among what the browser offers below a field, for as long as the page is open. */
export async function showPasskey(optionsPath: string, autofill = false): Promise<PasskeyAssertion> {
  const optionsJSON = await apiFetch<PublicKeyCredentialRequestOptionsJSON>(optionsPath, { method: 'POST' });
  return startAuthentication({ optionsJSON, useBrowserAutofill: autofill }).catch(explain);
}

/** Password and second factor first; @returns recovery codes, if it is the first factor */
export async function makePasskey(name: string, shown: Shown): Promise<readonly string[]> {
  const optionsJSON = await apiFetch<PublicKeyCredentialCreationOptionsJSON>('/-/api/passkeys/options', {
    method: 'POST',
    body: shown,
  });
  const passkey = await startRegistration({ optionsJSON }).catch(explain);
  const { recoveryCodes } = await apiFetch<{ recoveryCodes: readonly string[] }>('/-/api/passkeys', {
    method: 'POST',
    body: { name, passkey },
  });
  return recoveryCodes;
}

/** The browser let no passkey be used; the server was not asked. */
export function isOfBrowser(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.code.startsWith('PASSKEY_');
}

/** Another request of this page took its place. */
export function isReplaced(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.code === replaced;
}

const replaced = 'PASSKEY_REPLACED';

function explain(error: unknown): never {
  const nothing = { detail: undefined, fields: {}, requestId: undefined, retryAfterSeconds: undefined };
  const words = (code: string, title: string, hint: string) =>
    new ProblemError({ ...nothing, status: 400, code, title, hint });
  if (error instanceof WebAuthnError && error.code === 'ERROR_CEREMONY_ABORTED')
    throw words(replaced, 'Another passkey was asked for meanwhile', 'Try once more.');
  if (error instanceof WebAuthnError && error.code === 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED')
    throw words(
      'PASSKEY_KNOWN',
      'This device has a passkey for you already',
      'Use that one, or choose another device.',
    );
  if (error instanceof Error && error.name === 'NotAllowedError')
    throw words('PASSKEY_NOT_CHOSEN', 'No passkey was used', 'It was cancelled, or took too long. Try once more.');
  throw words(
    'PASSKEY_FAILED',
    'The browser could not use a passkey',
    'Your device may not be able to verify you with a finger, a face or a PIN. Try another one.',
  );
}
