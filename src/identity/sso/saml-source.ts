import type { TenantId } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import type { IdpMetadata } from '../saml/index.ts';

const maxMetadataBytes = 1_048_576;

/** The metadata at an address; undefined: there are none. Rejects if the server cannot be reached, or must not be. */
export async function fetchMetadata(outgoing: Outgoing, tenantId: TenantId, url: string): Promise<string | undefined> {
  const answer = await outgoing.fetch(url, { maxBytes: maxMetadataBytes, onBehalfOf: tenantId });
  if (answer.ok) return answer.text();
  await answer.body?.cancel();
  return undefined;
}

/** What a connection keeps of them. */
export function settingsOf(metadata: IdpMetadata) {
  return {
    idpEntityId: metadata.entityId,
    ssoUrl: metadata.ssoUrl,
    slo: metadata.slo ?? null,
    certificates: metadata.certificates,
    validUntil: metadata.validUntil?.toISOString() ?? null,
  };
}
