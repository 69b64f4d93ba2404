import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import { serviceProviderMetadata } from '../saml/index.ts';
import { signOnErrors } from './errors.ts';
import type { Origin } from './flow.ts';
import { samlAddressesOf, sloUrlOf } from './saml-addresses.ts';
import { findConnection } from './sign-on-sql.ts';

/** What identity providers read about us; public. */
export interface SamlMetadata {
  /** XML. With `connectionId` there are the certificates of that connection in it; without, none: some providers want it before they tell who they are. Throws FH_CONNECTION_NOT_FOUND. */
  getSamlMetadata(tenantId: TenantId, origin: Origin, connectionId?: string): Promise<string>;
}

export function createSamlMetadata(databases: TenantDatabases): SamlMetadata {
  return {
    async getSamlMetadata(tenantId, origin, connectionId) {
      const { entityId, acsUrl } = samlAddressesOf(origin);
      const provider = { spEntityId: entityId, acsUrl };
      if (connectionId === undefined)
        return serviceProviderMetadata({ ...provider, signingCertificates: [], encryptionCertificates: [] });
      const connection = await databases.platform.read(tenantId, (db) => findConnection(db, connectionId));
      if (connection?.kind !== 'saml') throw signOnErrors.FH_CONNECTION_NOT_FOUND();
      // In a copy the keys are not here, and nobody should encrypt for them.
      const certificates = connection.sealedSecret ? connection.settings.ownCertificates : [];
      return serviceProviderMetadata({
        ...provider,
        sloUrl: sloUrlOf(origin, connection.connectionId),
        signingCertificates: certificates,
        encryptionCertificates: certificates.slice(0, 1),
      });
    },
  };
}
