/** For tests: an authenticator in software, which also does what none should. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isoCBOR } from '@simplewebauthn/server/helpers';
import type { PasskeyAssertion, PasskeyAttestation, PasskeyCreationOptions, PasskeyRequestOptions } from './types.ts';

/** What is wrong about an answer. */
export interface Tricks {
  readonly origin?: string;
  readonly rpId?: string;
  readonly type?: string;
  readonly challenge?: string;
  readonly crossOrigin?: boolean;
  readonly topOrigin?: string;
  /** UP 1, UV 4, BE 8, BS 16. Default: all but the last two. */
  readonly flags?: number;
  readonly counter?: number;
  readonly userHandle?: string | null;
  /** Changed after it was signed. */
  readonly changeClientData?: (text: string) => string;
  /** Of what is signed. Default: our own key. */
  readonly signer?: KeyObject;
  /** In place of `none`. */
  readonly statement?: { readonly fmt: string; readonly attStmt: Map<string, unknown> };
}

export type Algorithm = -7 | -8 | -257;

const encode = (value: unknown) => Buffer.from(isoCBOR.encode(value as Parameters<typeof isoCBOR.encode>[0]));
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest();

export class SoftwareAuthenticator {
  readonly credentialId: Buffer;
  readonly privateKey: KeyObject;
  readonly origin: string;
  readonly #cose: Map<number, number | Uint8Array>;
  readonly #algorithm: Algorithm;
  /** 0: it does not count. */
  counter = 0;
  userHandle = '';
  counts = true;

  constructor(
    origin: string,
    { algorithm = -7, credentialId = randomBytes(32) }: { algorithm?: Algorithm; credentialId?: Buffer } = {},
  ) {
    this.origin = origin;
    this.credentialId = credentialId;
    this.#algorithm = algorithm;
    const pair =
      algorithm === -7
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : algorithm === -8
          ? generateKeyPairSync('ed25519')
          : generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.privateKey = pair.privateKey;
    const jwk = pair.publicKey.export({ format: 'jwk' });
    const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'));
    const keyTypes = { [-7]: 2, [-8]: 1, [-257]: 3 } as const;
    this.#cose = new Map<number, number | Uint8Array>([
      [1, keyTypes[algorithm]],
      [3, algorithm],
    ]);
    if (algorithm === -257) {
      this.#cose.set(-1, bytes(jwk.n!)).set(-2, bytes(jwk.e!));
    } else {
      this.#cose.set(-1, algorithm === -7 ? 1 : 6).set(-2, bytes(jwk.x!));
      if (algorithm === -7) this.#cose.set(-3, bytes(jwk.y!));
    }
  }

  /** `navigator.credentials.create` */
  create(options: PasskeyCreationOptions, tricks: Tricks = {}): PasskeyAttestation {
    this.userHandle = options.user.id;
    const clientDataJSON = this.#clientData('webauthn.create', options.challenge, tricks);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.credentialId.length);
    const credential = [Buffer.alloc(16), length, this.credentialId, encode(this.#cose)];
    const authData = Buffer.concat([this.#authData(options.rp.id!, tricks, 0x40), ...credential]);
    const { fmt, attStmt } = tricks.statement ?? { fmt: 'none', attStmt: new Map() };
    const attestationObject = encode(
      new Map<string, unknown>([
        ['fmt', fmt],
        ['attStmt', attStmt],
        ['authData', new Uint8Array(authData)],
      ]),
    );
    const id = base64url(this.credentialId);
    return {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: { clientDataJSON, attestationObject: base64url(attestationObject), transports: ['internal'] },
    };
  }

  /** `navigator.credentials.get` */
  get(options: PasskeyRequestOptions, tricks: Tricks = {}): PasskeyAssertion {
    if (this.counts) this.counter++;
    const clientDataJSON = this.#clientData('webauthn.get', options.challenge, tricks);
    const authData = this.#authData(options.rpId!, tricks, 0);
    const signed = Buffer.concat([authData, sha256(Buffer.from(clientDataJSON, 'base64url'))]);
    const signature = sign(this.#algorithm === -8 ? null : 'sha256', signed, tricks.signer ?? this.privateKey);
    const shown = tricks.changeClientData
      ? base64url(Buffer.from(tricks.changeClientData(Buffer.from(clientDataJSON, 'base64url').toString())))
      : clientDataJSON;
    const userHandle = tricks.userHandle === undefined ? this.userHandle : (tricks.userHandle ?? undefined);
    const id = base64url(this.credentialId);
    return {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: shown,
        authenticatorData: base64url(authData),
        signature: base64url(signature),
        ...(userHandle !== undefined && { userHandle }),
      },
    };
  }

  #clientData(type: string, challenge: string, tricks: Tricks): string {
    const data = {
      type: tricks.type ?? type,
      challenge: tricks.challenge ?? challenge,
      origin: tricks.origin ?? this.origin,
      crossOrigin: tricks.crossOrigin ?? false,
      ...(tricks.topOrigin !== undefined && { topOrigin: tricks.topOrigin }),
    };
    return base64url(Buffer.from(JSON.stringify(data)));
  }

  #authData(rpId: string, tricks: Tricks, more: number): Buffer {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(tricks.counter ?? this.counter);
    return Buffer.concat([sha256(tricks.rpId ?? rpId), Buffer.of((tricks.flags ?? 0x05) | more), counter]);
  }
}
