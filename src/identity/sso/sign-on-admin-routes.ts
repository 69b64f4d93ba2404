import type { FastifyInstance } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Identity } from '../identity.ts';
import { actorOf, administrators, callerOf, owners, passwordBodyBytes, scope } from '../request-scope.ts';
import { describeCertificate } from '../saml/index.ts';
import { params } from '../schemas.ts';
import type { Shown } from '../sessions/own-confirmation.ts';
import type { ConnectionChange, NewConnection } from './connections.ts';
import { redirectUriOf } from './flow.ts';
import { challengeName } from './mail-domain.ts';
import { signOnReasons } from './reasons.ts';
import { samlAddressesOf } from './saml-addresses.ts';
import { signOnAnswers, signOnBodies, signOnParams } from './sign-on-schemas.ts';
import type { Connection, MailDomain, SamlSettings, SignOnPolicy } from './types.ts';

interface WithId {
  readonly id: string;
}

/** Single sign-on, as owners set it up. Registered by `identityRoutes`. */
export function addSignOnAdminRoutes(
  app: FastifyInstance,
  identity: Identity,
  originOf: (tenant: TenantRoute) => string,
): void {
  app.get(
    '/sign-on/settings',
    { config: administrators('sign_on.get_settings'), schema: { response: { 200: signOnAnswers.settings } } },
    async (request) => {
      const { tenant } = scope(request);
      const found = await identity.getSignOnSettings(tenant.tenantId, actorOf(request));
      return {
        connections: found.connections.map(({ sealedSecret, ...connection }) => ({
          ...connection,
          settings: describeSettings(connection),
          hasSecret: sealedSecret !== null,
        })),
        domains: found.domains.map(describeDomain),
        ...found.policy,
        addresses: addressesOf(originOf(tenant)),
      };
    },
  );

  app.post<{ Body: NewConnection & Shown }>(
    '/sign-on/connections',
    {
      config: owners('sign_on.create_connection'),
      schema: { body: signOnBodies.create, response: { 201: signOnAnswers.created } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const [input, shown] = withoutShown(request.body);
      const { tenantId } = scope(request).tenant;
      const connectionId = await identity.createConnection(tenantId, actorOf(request), input as NewConnection, shown);
      return reply.code(201).send({ connectionId });
    },
  );

  app.patch<{ Params: WithId; Body: ConnectionChange & Shown }>(
    '/sign-on/connections/:id',
    {
      config: owners('sign_on.change_connection'),
      schema: { params: signOnParams.connection, body: signOnBodies.change },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const [change, shown] = withoutShown(request.body);
      const { tenantId } = scope(request).tenant;
      await identity.changeConnection(tenantId, actorOf(request), request.params.id, change, shown);
      return reply.code(204).send();
    },
  );

  app.put<{ Params: WithId; Body: { state: 'on' | 'off' } & Shown }>(
    '/sign-on/connections/:id/state',
    {
      config: owners('sign_on.set_connection_state'),
      schema: { params: signOnParams.connection, body: signOnBodies.state },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const [{ state }, shown] = withoutShown(request.body);
      const { tenantId } = scope(request).tenant;
      await identity.setConnectionState(tenantId, actorOf(request), request.params.id, state, shown);
      return reply.code(204).send();
    },
  );

  app.post<{ Params: WithId; Body: Shown }>(
    '/sign-on/connections/:id/remove',
    {
      config: owners('sign_on.remove_connection'),
      schema: { params: signOnParams.connection, body: signOnBodies.shown },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.removeConnection(tenantId, actorOf(request), request.params.id, request.body);
      return reply.code(204).send();
    },
  );

  app.post<{ Params: WithId }>(
    '/sign-on/connections/:id/test',
    {
      config: owners('sign_on.test_connection'),
      schema: { params: signOnParams.connection, response: { 200: signOnAnswers.started } },
    },
    async (request, reply) => {
      const { tenant } = scope(request);
      const { url, setCookies } = await identity.testConnection(
        tenant.tenantId,
        originOf(tenant),
        actorOf(request),
        request.params.id,
        callerOf(request),
      );
      return reply.header('set-cookie', [...setCookies]).send({ url });
    },
  );

  app.post<{ Body: { domain: string; connectionId: string } & Shown }>(
    '/sign-on/domains',
    {
      config: owners('sign_on.add_domain'),
      schema: { body: signOnBodies.domain, response: { 201: signOnAnswers.domain } },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const [input, shown] = withoutShown(request.body);
      const added = await identity.addDomain(scope(request).tenant.tenantId, actorOf(request), input, shown);
      return reply.code(201).send(describeDomain(added));
    },
  );

  app.post<{ Params: { domain: string } }>(
    '/sign-on/domains/:domain/prove',
    { config: owners('sign_on.prove_domain'), schema: { params: signOnParams.domain } },
    async (request, reply) => {
      await identity.proveDomain(scope(request).tenant.tenantId, actorOf(request), request.params.domain);
      return reply.code(204).send();
    },
  );

  app.post<{ Params: { domain: string }; Body: Shown }>(
    '/sign-on/domains/:domain/remove',
    {
      config: owners('sign_on.remove_domain'),
      schema: { params: signOnParams.domain, body: signOnBodies.shown },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.removeDomain(tenantId, actorOf(request), request.params.domain, request.body);
      return reply.code(204).send();
    },
  );

  app.put<{ Body: SignOnPolicy & Shown }>(
    '/sign-on/policy',
    { config: owners('sign_on.set_policy'), schema: { body: signOnBodies.policy }, bodyLimit: passwordBodyBytes },
    async (request, reply) => {
      const [policy, shown] = withoutShown(request.body);
      await identity.setSignOnPolicy(scope(request).tenant.tenantId, actorOf(request), policy, shown);
      return reply.code(204).send();
    },
  );

  app.post<{ Params: WithId; Body: Shown }>(
    '/users/:id/unlink',
    {
      config: owners('user.unlink'),
      schema: { params: params.id, body: signOnBodies.shown },
      bodyLimit: passwordBodyBytes,
    },
    async (request, reply) => {
      const { tenantId } = scope(request).tenant;
      await identity.unlinkUser(tenantId, actorOf(request), request.params.id, request.body);
      return reply.code(204).send();
    },
  );
}

/** What the provider has to be told about us. */
function addressesOf(origin: string) {
  return { redirectUri: redirectUriOf(origin), ...samlAddressesOf(origin) };
}

/** Certificates as they can be compared. */
function describeSettings(connection: Omit<Connection, 'sealedSecret'>) {
  if (connection.kind === 'oidc') return connection.settings;
  const { certificates, ownCertificates, retiring, metadataReading, ...settings } = connection.settings as SamlSettings;
  const { problem, ...reading } = metadataReading ?? {};
  return {
    ...settings,
    ...(metadataReading && { metadataReading: { ...reading, problem: problem ? signOnReasons[problem] : null } }),
    ...(retiring && { retiringUntil: retiring.until }),
    certificates: certificates.flatMap((pem) => describeCertificate(pem) ?? []),
    ownCertificates: ownCertificates.flatMap((pem) => describeCertificate(pem) ?? []),
  };
}

function describeDomain(domain: MailDomain) {
  return { ...domain, recordName: challengeName(domain.domain) };
}

/** The input, and what is shown of oneself. */
function withoutShown<T extends object>(body: T & Partial<Shown>): [Omit<T, keyof Shown>, Shown] {
  const { password, code, passkey, ...input } = body as T & Partial<Shown> & { passkey?: unknown };
  return [input as unknown as Omit<T, keyof Shown>, { password, code, passkey } as unknown as Shown];
}
