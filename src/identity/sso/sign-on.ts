import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import type { SamlEngine } from '../saml/index.ts';
import type { FactorsKeyOf } from '../second-factors/redeem.ts';
import type { BrowserCookies, CookieKeyOf } from '../sessions/browser.ts';
import type { OwnConfirmation } from '../sessions/own-confirmation.ts';
import type { OwnSessions } from '../sessions/own-sessions.ts';
import type { UserMail } from '../users/user-mail.ts';
import { type Connections, createConnections } from './connections.ts';
import { createMailDomains, type MailDomains } from './domains.ts';
import { createSignOnFlow, type SignOnFlow } from './flow.ts';
import { createOidcClients } from './oidc.ts';
import { createSamlFlow } from './saml-flow.ts';
import { createSamlLogOut, type SamlLogOut } from './saml-log-out.ts';
import { createSamlMetadata, type SamlMetadata } from './saml-metadata.ts';
import { createSamlRefresh, type SamlRefresh } from './saml-refresh.ts';
import { createSamlSetup } from './saml-setup.ts';
import { createConnectionSecrets } from './secrets.ts';
import { createSignOnCookies } from './sign-on-cookie.ts';
import { createSignOnPolicies, type SignOnPolicies } from './sign-on-policy.ts';
import type { ResolveTxt } from './types.ts';

/** What single sign-on needs of the world. */
export interface SignOnPorts {
  readonly outgoing: Outgoing;
  readonly resolveTxt: ResolveTxt;
  /** One per process; who made it stops it. */
  readonly saml: SamlEngine;
}

/** Single sign-on of a tenant's people: connections to identity providers, the way there and back, and who has to take it. */
export interface SignOn
  extends SignOnFlow,
    SamlLogOut,
    SamlMetadata,
    Connections,
    MailDomains,
    SignOnPolicies,
    Pick<SamlRefresh, 'settleMetadata'> {}

export function createSignOn(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly cookieKeyOf: CookieKeyOf;
  readonly factorsKeyOf: FactorsKeyOf;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly signOut: OwnSessions['signOut'];
  readonly queue: PasswordQueue;
  readonly userMail: UserMail;
  /** Undefined: nobody signs in here, as where demo data is written. */
  readonly ports: SignOnPorts | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): SignOn {
  const { outgoing, resolveTxt, saml: engine } = deps.ports ?? noPorts;
  const secrets = createConnectionSecrets(deps.factorsKeyOf, deps.log);
  const oidc = createOidcClients({ outgoing, clock: deps.clock });
  const saml = createSamlFlow({ engine, secrets, clock: deps.clock });
  const samlSetup = createSamlSetup({ engine, outgoing, secrets, clock: deps.clock });
  const signOnCookies = createSignOnCookies(deps.cookieKeyOf);
  const refresh = createSamlRefresh({ ...deps, engine, outgoing });
  const flow = createSignOnFlow({ ...deps, signOnCookies, secrets, oidc, saml, refresh });
  return {
    ...flow,
    settleMetadata: refresh.settleMetadata,
    ...createSamlLogOut({ ...deps, engine, secrets, signOnCookies }),
    ...createSamlMetadata(deps.databases),
    ...createConnections({ ...deps, secrets, oidc, samlSetup, flow }),
    ...createMailDomains({ ...deps, resolveTxt }),
    ...createSignOnPolicies(deps.confirmSelf),
  };
}

const absent = (): never => {
  throw new Error('no single sign-on is wired here');
};
const noPorts: SignOnPorts = {
  outgoing: { fetch: async () => absent() },
  resolveTxt: async () => absent(),
  saml: {
    verifyResponse: async () => absent(),
    verifyLogoutRequest: async () => absent(),
    verifyLogoutResponse: async () => absent(),
    parseIdpMetadata: async () => absent(),
    createAuthnRequest: absent,
    createLogoutRequest: absent,
    createLogoutResponse: absent,
    stop: async () => {},
  },
};
