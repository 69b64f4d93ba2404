import type { Clock, FreeholdError, TenantId } from '#src/kernel/index.ts';
import { createServiceProviderKey } from '#src/keys/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import type { SamlEngine } from '../saml/index.ts';
import type { ConnectionChange, NewSamlInput, SamlInput } from './connections.ts';
import { signOnErrors } from './errors.ts';
import { signOnReasons } from './reasons.ts';
import { emailFormat } from './saml-person.ts';
import { fetchMetadata, settingsOf } from './saml-source.ts';
import type { ConnectionSecrets } from './secrets.ts';
import type { ConnectionId, PeopleSettings, SamlConnection, SamlSettings } from './types.ts';

/** What a SAML connection's row is made of. */
export interface SamlSetup {
  /** Throws FH_CONNECTION_REFUSED. */
  make(
    tenantId: TenantId,
    connectionId: ConnectionId,
    input: NewSamlInput,
    people: PeopleSettings,
  ): Promise<{ settings: SamlSettings; sealedSecret: Buffer | null }>;
  /** Metadata that are given must be of the same provider. Throws FH_CONNECTION_REFUSED. */
  change(
    tenantId: TenantId,
    connection: SamlConnection,
    input: ConnectionChange,
    people: PeopleSettings,
  ): Promise<{ settings: SamlSettings; sealedSecret: Buffer | null; keepsTest: boolean }>;
}

/** Not `transient`: such a name is another one at every sign-in. */
export const nameIdFormats = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  email: emailFormat,
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
} as const;
export type NameIdFormat = keyof typeof nameIdFormats;

/** The one in use and, until the provider has read our metadata anew, the one before. */
const maxKeys = 2;

/** Our private keys of a connection, PEM, the newest first; none: not here, as in a copy. */
export async function openSamlKeys(
  secrets: ConnectionSecrets,
  tenantId: TenantId,
  connectionId: ConnectionId,
  sealedSecret: Uint8Array | null,
): Promise<readonly string[]> {
  const secret = await secrets.open(tenantId, connectionId, sealedSecret);
  return secret === undefined ? [] : (JSON.parse(secret) as string[]);
}

export function createSamlSetup({
  engine,
  outgoing,
  secrets,
  clock,
}: {
  readonly engine: SamlEngine;
  readonly outgoing: Outgoing;
  readonly secrets: ConnectionSecrets;
  readonly clock: Clock;
}): SamlSetup {
  const seal = (tenantId: TenantId, connectionId: ConnectionId, keys: readonly string[]) =>
    secrets.seal(tenantId, connectionId, JSON.stringify(keys));

  /** Undefined: none are given. */
  async function read(tenantId: TenantId, { metadataXml, metadataUrl }: SamlInput, entityId?: string) {
    const url = metadataUrl?.trim() || undefined;
    const xml = metadataXml?.trim() ? metadataXml : undefined;
    if (url === undefined && xml === undefined) return undefined;
    const field = url === undefined ? 'metadataXml' : 'metadataUrl';
    if (url !== undefined && xml !== undefined) throw refused(field, 'Give the metadata or their address, not both.');
    const text = xml ?? (await fetchText(tenantId, url!));
    const verdict = await engine.parseIdpMetadata(text, entityId === undefined ? {} : { entityId }, tenantId);
    if (!verdict.ok) throw refused(field, verdict.sentence);
    const at = new Date(clock.now()).toISOString();
    const reading = url !== undefined && { triedAt: at, readAt: at, problem: null, problemSince: null };
    return { ...settingsOf(verdict.metadata), metadataUrl: url ?? null, ...(reading && { metadataReading: reading }) };
  }

  async function fetchText(tenantId: TenantId, url: string): Promise<string> {
    if (url.length > 2_000 || !URL.canParse(url) || new URL(url).protocol !== 'https:')
      throw refused('metadataUrl', 'Enter an address that begins with https://.');
    const text = await fetchMetadata(outgoing, tenantId, url).catch((cause: unknown) => {
      throw refused('metadataUrl', signOnReasons.provider_unreachable, cause);
    });
    return text ?? Promise.reject(refused('metadataUrl', 'There are no metadata at this address.'));
  }

  return {
    async make(tenantId, connectionId, input, people) {
      const metadata = await read(tenantId, input);
      if (!metadata) throw refused('metadataXml', 'Give the metadata of your provider, or their address.');
      const key = await createServiceProviderKey(clock.now());
      return {
        settings: {
          ...people,
          ...metadata,
          slo: typedSlo(input) ?? metadata.slo,
          nameIdFormat: nameIdFormats[input.nameIdFormat ?? 'persistent'],
          ownCertificates: [key.certificate],
        },
        sealedSecret: await seal(tenantId, connectionId, [key.privateKey]),
      };
    },

    async change(tenantId, { connectionId, settings: before, sealedSecret }, input, people) {
      const metadata = await read(tenantId, input, before.idpEntityId);
      // What an owner gives is all there is: nothing of before goes on counting beside it.
      const { retiring: _, metadataReading: __, ...given } = before;
      const typed = typedSlo(input);
      const slo = typed === undefined ? (metadata ? (metadata.slo ?? keptSlo(before)) : before.slo) : typed;
      const settings = { ...(metadata ? given : before), ...people, ...metadata, slo };
      const keepsTest = metadata === undefined && !input.renewsKey;
      if (!input.renewsKey) return { settings, sealedSecret, keepsTest };
      const key = await createServiceProviderKey(clock.now());
      const keys = [key.privateKey, ...(await openSamlKeys(secrets, tenantId, connectionId, sealedSecret))];
      // Certificates whose key is not here any more, as in a copy, would have answers encrypted that nobody can open.
      const ownCertificates = [key.certificate, ...(keys.length > 1 ? before.ownCertificates : [])];
      return {
        settings: { ...settings, ownCertificates: ownCertificates.slice(0, maxKeys) },
        sealedSecret: await seal(tenantId, connectionId, keys.slice(0, maxKeys)),
        keepsTest,
      };
    },
  };
}

/** Only one that was typed outlives metadata without one. */
const keptSlo = ({ slo }: SamlSettings) => (slo?.isTyped ? slo : null);

/** Undefined: nothing is said about it; null: none. Throws FH_CONNECTION_REFUSED. */
function typedSlo({ sloUrl }: SamlInput): SamlSettings['slo'] | undefined {
  if (sloUrl === undefined) return undefined;
  const url = sloUrl.trim();
  if (url === '') return null;
  const isPlain = url.length <= 2_000 && /^https:\/\/[\x21-\x7e]+$/.test(url) && !/["<>\\^`{|}#]/.test(url);
  const parsed = isPlain ? URL.parse(url) : null;
  if (parsed === null || parsed.username !== '' || parsed.password !== '')
    throw refused('sloUrl', 'Enter an address that begins with https://.');
  return { url, responseUrl: url, binding: 'redirect', isTyped: true };
}

const refused = (field: string, text: string, cause?: unknown): FreeholdError =>
  signOnErrors.FH_CONNECTION_REFUSED({ detail: text, fields: { [field]: text }, cause });
