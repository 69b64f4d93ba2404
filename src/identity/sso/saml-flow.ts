import type { TenantId } from '#src/kernel/index.ts';
import { refusedFor, type SignOnRefused } from './reasons.ts';
import type { SamlConnection, SignOnPerson } from './types.ts';

/** SAML between a connection's row and the engine that judges messages. */
export interface SamlFlow {
  begin(
    tenantId: TenantId,
    origin: string,
    connection: SamlConnection,
    relayState: string,
  ): Promise<{ readonly ok: true; readonly url: string; readonly requestId: string } | SignOnRefused>;
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
        readonly messageHash: Buffer;
        /** Until when it must be remembered that the message was used. */
        readonly messageEndsAt: Date;
      }
    | SignOnRefused
  >;
}

/** Where no engine is wired. */
export const noSamlFlow: SamlFlow = {
  begin: async () => refusedFor('unavailable'),
  verify: async () => refusedFor('unavailable'),
};
