import { type IdpMetadata, isCertificateInForce } from '../saml/index.ts';
import type { SignOnReason } from './reasons.ts';
import { settingsOf } from './saml-source.ts';
import type { SamlSettings } from './types.ts';

/** How long keys go on counting that the provider took out of its metadata all at once: over a long weekend. */
export const retiringMs = 4 * 24 * 60 * 60_000;

export type Rollover =
  | {
      readonly ok: true;
      readonly settings: SamlSettings;
      /** Whether anything but the end of the metadata is another. */
      readonly hasChanged: boolean;
      readonly keysAdded: number;
      readonly keysRemoved: number;
      /** None of the keys that counted is there any more. */
      readonly isAbrupt: boolean;
    }
  | { readonly ok: false; readonly reason: SignOnReason };

/**
 * What metadata that were read again make of a connection. They replace its keys and addresses if there is a key in them that holds now; if none of the keys is among
 * them that held so far, those count for some days more, so that metadata of a wrong moment lock nobody out. Metadata that have lost the log-out address are not whole.
 */
export function judgeRollover(before: SamlSettings, metadata: IdpMetadata, nowMs: number): Rollover {
  const now = settingsOf(metadata);
  if (!now.certificates.some((pem) => isCertificateInForce(pem, nowMs)))
    return { ok: false, reason: 'metadata_certificate' };
  const slo = now.slo ?? (before.slo?.isTyped ? before.slo : null);
  if (before.slo && !slo) return { ok: false, reason: 'metadata_shrunk' };
  const held = before.certificates.filter((pem) => isCertificateInForce(pem, nowMs));
  const isAbrupt = held.length > 0 && !held.some((pem) => now.certificates.includes(pem));
  const stillRetiring = before.retiring && Date.parse(before.retiring.until) > nowMs ? before.retiring : undefined;
  const retiring = isAbrupt ? { certificates: held, until: new Date(nowMs + retiringMs).toISOString() } : stillRetiring;
  const { retiring: _, ...rest } = before;
  const settings: SamlSettings = { ...rest, ...now, slo, ...(retiring && { retiring }) };
  const { validUntil: __, metadataReading: ___, ...what } = settings;
  const { validUntil: ____, metadataReading: _____, ...was } = before;
  const countOf = (these: readonly string[], others: readonly string[]) =>
    these.filter((pem) => !others.includes(pem)).length;
  return {
    ok: true,
    settings,
    hasChanged: canonical(what) !== canonical(was),
    keysAdded: countOf(now.certificates, before.certificates),
    keysRemoved: countOf(before.certificates, now.certificates),
    isAbrupt,
  };
}

/** The keys that messages of the provider are judged with. */
export function trustedCertificates({ certificates, retiring }: SamlSettings, nowMs: number): readonly string[] {
  if (!retiring || Date.parse(retiring.until) <= nowMs) return certificates;
  return [...new Set([...certificates, ...retiring.certificates])];
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, one) =>
    one && typeof one === 'object' && !Array.isArray(one) ? Object.fromEntries(Object.entries(one).sort()) : one,
  );
