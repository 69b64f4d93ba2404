import { createHash } from 'node:crypto';
import type { Clock, TenantId } from '#src/kernel/index.ts';
import type { SamlEngine } from '../saml/index.ts';
import { trustedCertificates } from './metadata-rollover.ts';
import { refusedFor, type SignOnRefused } from './reasons.ts';
import { samlAddressesOf } from './saml-addresses.ts';
import { personOf } from './saml-person.ts';
import { openSamlKeys } from './saml-setup.ts';
import type { ConnectionSecrets } from './secrets.ts';
import type { SamlConnection, SignOnPerson } from './types.ts';

/** SAML between a connection's row and the engine that judges messages. */
export interface SamlFlow {
  /** `relayState`: comes back with the answer. */
  begin(
    tenantId: TenantId,
    origin: string,
    connection: SamlConnection,
    relayState: string,
  ): Promise<{ readonly ok: true; readonly url: string; readonly requestId: string } | SignOnRefused>;
  /** `requestId`: the open request of this browser that `relayState` named. */
  verify(
    tenantId: TenantId,
    origin: string,
    connection: SamlConnection,
    requestId: string,
    samlResponse: string,
  ): Promise<
    | {
        readonly ok: true;
        readonly person: SignOnPerson;
        /** Of issuer and assertion, not of the bytes: one signed assertion can be wrapped in many messages. */
        readonly messageHash: Buffer;
        /** Until when it must be remembered that it was used. */
        readonly messageEndsAt: Date;
      }
    | SignOnRefused
  >;
}

export const clockSkewMs = 60_000;

/** What every message is judged and signed with; refused where the connection cannot be used. */
export async function openSamlConnection(
  { secrets, clock }: { readonly secrets: ConnectionSecrets; readonly clock: Clock },
  tenantId: TenantId,
  { connectionId, settings, sealedSecret }: SamlConnection,
) {
  if (settings.validUntil !== null && Date.parse(settings.validUntil) <= clock.now())
    return refusedFor('metadata_expired');
  const keys = await openSamlKeys(secrets, tenantId, connectionId, sealedSecret);
  return keys[0] === undefined ? refusedFor('secret_missing') : { ok: true as const, newest: keys[0], keys };
}

/** Entity ID and addresses are made of the configured origin, never of the request; keys and certificates are those of the connection. */
export function createSamlFlow({
  engine,
  secrets,
  clock,
}: {
  readonly engine: SamlEngine;
  readonly secrets: ConnectionSecrets;
  readonly clock: Clock;
}): SamlFlow {
  const keysOf = (tenantId: TenantId, connection: SamlConnection) =>
    openSamlConnection({ secrets, clock }, tenantId, connection);

  return {
    async begin(tenantId, origin, connection, relayState) {
      const opened = await keysOf(tenantId, connection);
      if (!opened.ok) return opened;
      const { entityId, acsUrl } = samlAddressesOf(origin);
      const { ssoUrl, nameIdFormat } = connection.settings;
      const { id, url } = engine.createAuthnRequest({
        ssoUrl,
        acsUrl,
        spEntityId: entityId,
        relayState,
        nameIdFormat,
        signWith: { privateKey: opened.newest },
      });
      return { ok: true, url, requestId: id };
    },

    async verify(tenantId, origin, connection, requestId, samlResponse) {
      const opened = await keysOf(tenantId, connection);
      if (!opened.ok) return opened;
      const { entityId, acsUrl } = samlAddressesOf(origin);
      const { idpEntityId, nameIdFormat } = connection.settings;
      const certificates = trustedCertificates(connection.settings, clock.now());
      const verdict = await engine.verifyResponse({
        samlResponse,
        expected: {
          spEntityId: entityId,
          acsUrl,
          idpEntityId,
          certificates,
          nameIdFormat,
          clockSkewMs,
          decryptionKeys: opened.keys,
          requestIds: [requestId],
        },
        from: tenantId,
      });
      if (!verdict.ok) return refusedFor(verdict.reason);
      const { assertion } = verdict;
      const person = personOf(assertion, connection.settings);
      if (!person) return refusedFor('name_id');
      return {
        ok: true,
        person,
        messageHash: createHash('sha256')
          .update(JSON.stringify([assertion.issuer, assertion.id]))
          .digest(),
        messageEndsAt: new Date(assertion.notOnOrAfter.getTime() + clockSkewMs),
      };
    },
  };
}
