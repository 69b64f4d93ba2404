import type { TenantId } from '#src/kernel/index.ts';
import type { ConnectionChange, SamlInput } from './connections.ts';
import { signOnErrors } from './errors.ts';
import type { ConnectionId, PeopleSettings, SamlConnection, SamlSettings } from './types.ts';

/** What a SAML connection's row is made of. */
export interface SamlSetup {
  make(
    tenantId: TenantId,
    connectionId: ConnectionId,
    input: SamlInput,
    people: PeopleSettings,
  ): Promise<{ settings: SamlSettings; sealedSecret: Buffer | null }>;
  change(
    tenantId: TenantId,
    connection: SamlConnection,
    input: ConnectionChange,
    people: PeopleSettings,
  ): Promise<{ settings: SamlSettings; sealedSecret: Buffer | null; keepsTest: boolean }>;
}

const unavailable = async () => {
  throw signOnErrors.FH_CONNECTION_REFUSED({ detail: 'SAML is not available here.' });
};
/** Where no engine is wired. */
export const noSamlSetup: SamlSetup = { make: unavailable, change: unavailable };
