import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEventName } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { newId, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import type { Caller } from '../sessions/browser.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { type PeopleInput, parseConnectionName, parseIssuer, parsePeople, parseVisible } from './connection-input.ts';
import { signOnErrors } from './errors.ts';
import type { Origin, SignOnFlow } from './flow.ts';
import { endSessionsOver, lockPeopleOf, revokeTokensOver } from './leaving-sql.ts';
import type { OidcClients } from './oidc.ts';
import { findSignOnPolicy, selectDomains } from './people-sql.ts';
import { signOnReasons } from './reasons.ts';
import type { NameIdFormat, SamlSetup } from './saml-setup.ts';
import type { ConnectionSecrets } from './secrets.ts';
import {
  deleteConnection,
  findConnection,
  insertConnection,
  selectConnections,
  updateConnection,
  updateConnectionState,
} from './sign-on-sql.ts';
import { type Connection, type ConnectionId, factorTrusts, type MailDomain, type SignOnPolicy } from './types.ts';

export interface OidcInput {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** The metadata of the provider: as a file, or where they are. */
export interface SamlInput {
  readonly metadataXml?: string;
  readonly metadataUrl?: string;
  /** Where the provider signs out, if its metadata do not say; empty: nowhere. */
  readonly sloUrl?: string;
}

export interface NewSamlInput extends SamlInput {
  /** Default: persistent. */
  readonly nameIdFormat?: NameIdFormat;
}

export type NewConnection = { readonly name: string } & PeopleInput &
  (({ readonly kind: 'oidc' } & OidcInput) | ({ readonly kind: 'saml' } & NewSamlInput));

/** What may change. Issuer and entity ID may not: subjects are names within one provider. */
export type ConnectionChange = { readonly name?: string } & PeopleInput &
  Partial<Pick<OidcInput, 'clientId' | 'clientSecret'>> &
  SamlInput & { readonly renewsKey?: boolean };

/** What administrators see, and owners change, each change after they have shown again who they are. */
export interface Connections {
  getSignOnSettings(
    tenantId: TenantId,
    actor: Actor,
  ): Promise<{ connections: readonly Connection[]; domains: readonly MailDomain[]; policy: SignOnPolicy }>;
  /** Off at first. Throws FH_CONNECTION_REFUSED, FH_CONNECTION_LIMIT, and what `confirmSelf` does. */
  createConnection(tenantId: TenantId, actor: Actor, input: NewConnection, shown: Shown): Promise<ConnectionId>;
  changeConnection(
    tenantId: TenantId,
    actor: Actor,
    connectionId: string,
    change: ConnectionChange,
    shown: Shown,
  ): Promise<void>;
  /** On: only with a secret, and after a test that passed. Off, or removed: not the last one while single sign-on is enforced. */
  setConnectionState(
    tenantId: TenantId,
    actor: Actor,
    connectionId: string,
    state: 'on' | 'off',
    shown: Shown,
  ): Promise<void>;
  /** With its domains and the links of its people; the users stay. */
  removeConnection(tenantId: TenantId, actor: Actor, connectionId: string, shown: Shown): Promise<void>;
  /** Begins a sign-in whose end is shown to the owner and does nothing else. */
  testConnection(
    tenantId: TenantId,
    origin: Origin,
    actor: Actor,
    connectionId: string,
    caller: Caller,
  ): Promise<{ url: string; setCookies: readonly string[] }>;
}

const maxConnections = 20;

export const changing = { roles: ['owner'], refused: 'sign_on.change_refused' } as const;

export function createConnections(deps: {
  readonly databases: TenantDatabases;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly secrets: ConnectionSecrets;
  readonly oidc: OidcClients;
  readonly samlSetup: SamlSetup;
  readonly flow: SignOnFlow;
}): Connections {
  const { databases, confirmSelf, secrets, oidc, samlSetup, flow } = deps;

  const record = (
    db: Queryable,
    actor: Actor,
    name: AuditEventName,
    connection: Pick<Connection, 'connectionId' | 'name'>,
    ended: { readonly sessionsEnded?: number; readonly tokens?: number } = {},
  ) =>
    recordTenantAudit(db, {
      name,
      actor: `user:${actor.session.user.userId}`,
      subject: connection.connectionId,
      address: actor.address,
      details: { connection: connection.name, ...ended },
    });

  async function getConnection(db: Queryable, connectionId: string): Promise<Connection> {
    const connection = await findConnection(db, connectionId);
    if (!connection) throw signOnErrors.FH_CONNECTION_NOT_FOUND();
    return connection;
  }

  /** What people of a connection had that is turned off or goes. To be called before the connection is changed; what it returns, after it. */
  async function endAllOver(db: Queryable, { connectionId }: Connection, { session }: Actor) {
    await lockPeopleOf(db, connectionId);
    return async () => ({
      sessionsEnded: await endSessionsOver(db, connectionId, session.sessionId),
      tokens: await revokeTokensOver(db, connectionId, session.user.userId),
    });
  }

  /** While nobody signs in otherwise, one connection has to stay. */
  async function keepOneOn(db: Queryable, leaving: Connection): Promise<void> {
    const { enforced } = await findSignOnPolicy(db);
    const others = (await selectConnections(db)).filter(({ connectionId }) => connectionId !== leaving.connectionId);
    if (enforced && leaving.state === 'on' && !others.some(({ state }) => state === 'on'))
      throw signOnErrors.FH_SIGN_ON_ENFORCED();
  }

  async function make(tenantId: TenantId, connectionId: ConnectionId, input: NewConnection) {
    const people = parsePeople(input);
    if (input.kind === 'saml') return samlSetup.make(tenantId, connectionId, input, people);
    const settings = {
      ...people,
      issuer: parseIssuer(input.issuer ?? ''),
      clientId: parseVisible('clientId', input.clientId ?? '', 300),
    };
    const secret = parseVisible('clientSecret', input.clientSecret ?? '', 2_000);
    const found = await oidc(tenantId).discover(settings);
    if (!found.ok) {
      const text = signOnReasons[found.reason];
      throw signOnErrors.FH_CONNECTION_REFUSED({ detail: text, fields: { issuer: text } });
    }
    return { settings, sealedSecret: await secrets.seal(tenantId, connectionId, secret) };
  }

  /** @returns settings and secret as they become, and whether what was tested stays what there is */
  async function change(tenantId: TenantId, connection: Connection, input: ConnectionChange) {
    const { connectionId, settings, sealedSecret } = connection;
    const people = parsePeople(pickPeople(input), settings);
    if (connection.kind === 'saml') return samlSetup.change(tenantId, connection, input, people);
    const { clientId, clientSecret } = input;
    return {
      settings: {
        ...connection.settings,
        ...people,
        ...(clientId !== undefined && { clientId: parseVisible('clientId', clientId, 300) }),
      },
      sealedSecret:
        clientSecret === undefined
          ? sealedSecret
          : await secrets.seal(tenantId, connectionId, parseVisible('clientSecret', clientSecret, 2_000)),
      keepsTest: clientId === undefined && clientSecret === undefined,
    };
  }

  return {
    getSignOnSettings: (tenantId, actor) =>
      databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, administrators);
        const connections = await selectConnections(db);
        return { connections, domains: await selectDomains(db), policy: await findSignOnPolicy(db) };
      }),

    async createConnection(tenantId, actor, input, shown) {
      const connectionId = newId('con');
      const name = parseConnectionName(input.name);
      // Other servers are asked before anything is locked, and only for owners.
      await databases.platform.read(tenantId, (db) => requireRole(db, actor, changing.roles));
      const made = await make(tenantId, connectionId, input);
      await confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const connection = { connectionId, kind: input.kind, name, ...made };
        if (!(await insertConnection(db, connection, maxConnections))) throw signOnErrors.FH_CONNECTION_LIMIT();
        await record(db, actor, 'connection.created', connection);
      });
      return connectionId;
    },

    async changeConnection(tenantId, actor, connectionId, input, shown) {
      const before = await databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, changing.roles);
        return getConnection(db, connectionId);
      });
      const name = input.name === undefined ? before.name : parseConnectionName(input.name);
      const { keepsTest, ...changed } = await change(tenantId, before, input);
      await confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const { connectionId: id } = before;
        const trusts = factorTrusts.indexOf(changed.settings.secondFactor);
        const isTrustedLess = trusts < factorTrusts.indexOf(before.settings.secondFactor);
        if (isTrustedLess) await lockPeopleOf(db, id);
        const now = await getConnection(db, connectionId);
        if (now.changedAt.getTime() !== before.changedAt.getTime()) throw signOnErrors.FH_CONNECTION_CHANGED();
        await updateConnection(db, { connectionId: id, name, ...changed }, { keepsTest });
        // Not tokens: none was made because a provider had asked for a second factor.
        const ended = isTrustedLess
          ? { sessionsEnded: await endSessionsOver(db, id, actor.session.sessionId) }
          : undefined;
        await record(db, actor, 'connection.changed', { connectionId: id, name }, ended);
      });
    },

    setConnectionState: (tenantId, actor, connectionId, state, shown) =>
      confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const connection = await getConnection(db, connectionId);
        if (connection.state === state) return;
        if (state === 'off') await keepOneOn(db, connection);
        else if (!connection.sealedSecret || !connection.lastTest?.passed) throw signOnErrors.FH_CONNECTION_UNTESTED();
        if (state === 'on') {
          await updateConnectionState(db, connectionId, state);
          return record(db, actor, 'connection.turned_on', connection);
        }
        const endAll = await endAllOver(db, connection, actor);
        await updateConnectionState(db, connectionId, state);
        await record(db, actor, 'connection.turned_off', connection, await endAll());
      }),

    removeConnection: (tenantId, actor, connectionId, shown) =>
      confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const connection = await getConnection(db, connectionId);
        await keepOneOn(db, connection);
        const endAll = await endAllOver(db, connection, actor);
        // Nobody begins anything over it from here on; with it go the links by which its people are found.
        await updateConnectionState(db, connectionId, 'off');
        const ended = await endAll();
        await deleteConnection(db, connectionId);
        await record(db, actor, 'connection.removed', connection, ended);
      }),

    async testConnection(tenantId, origin, actor, connectionId, caller) {
      const { userId } = await databases.platform.read(tenantId, (db) => requireRole(db, actor, changing.roles));
      return flow.beginSignOn(tenantId, origin, { connectionId, next: '/-/single-sign-on' }, caller, userId);
    },
  };
}

function pickPeople(input: PeopleInput): PeopleInput {
  const { createsUsers, trustsEmails, secondFactor, roleClaim, adminValues } = input;
  return JSON.parse(JSON.stringify({ createsUsers, trustsEmails, secondFactor, roleClaim, adminValues }));
}
