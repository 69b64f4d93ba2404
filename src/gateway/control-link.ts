import { kernelErrors, type Log, type TenantId } from '#src/kernel/index.ts';
import { createRpcServer } from '#src/rpc/index.ts';
import type { TenantAccess, TenantRoute } from '#src/tenants/types.ts';
import {
  encodeTenantAccess,
  type LinkProtocol,
  type LinkServerHandlers,
  parseTenantId,
  type WireTraffic,
} from './link.ts';

/** What control lends to its gateways. */
export interface ControlPort {
  findRoute(host: string): Promise<TenantRoute | undefined>;
  /** Throws FH_TENANT_NOT_ACTIVE unless the tenant's data may be reached now. */
  getAccess(tenantId: TenantId): Promise<TenantAccess>;
  /** For a tenant's host and for the base domain itself; undefined: not a host of ours. */
  findCertificate(host: string, publicKeyPem: string): Promise<string | undefined>;
  recordUse(tenantIds: readonly TenantId[]): Promise<void>;
  noteWritten(tenantId: TenantId): Promise<boolean>;
  /** Checked for its shape. */
  recordTraffic(reports: readonly WireTraffic[]): void;
  /** Checks `order`, which is whatever the gateway sent. */
  queueMail(tenantId: TenantId, order: unknown): Promise<unknown>;
  /** Brings content of the vault to every region; rejects when one may lack it. */
  keepFile(tenantId: TenantId, name: string): Promise<void>;
}

export interface ControlLink {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Tells every connected gateway and waits; one that does not answer in time is disconnected, and will start afresh. */
  tenantChanged(tenantId: TenantId): Promise<void>;
  readonly gateways: number;
  /** The numbers of every gateway that answers in time. */
  collectMetrics(): Promise<(readonly object[])[]>;
}

export interface ControlLinkOptions {
  readonly socketPath: string;
  readonly mode: number;
  readonly port: ControlPort;
  readonly log: Log;
  /** How long a gateway may take to let go of a tenant. Default 10,000. */
  readonly answerWithinMs?: number;
}

/** Control's end of link.sock. Gateways face the internet, so what they send is checked like a client's request. */
export function createControlLink(options: ControlLinkOptions): ControlLink {
  const { socketPath, mode, port, log, answerWithinMs = 10_000 } = options;
  const handlers: LinkServerHandlers = {
    findRoute: async ({ host }) => (await port.findRoute(parseText(host, 253))) ?? null,
    getAccess: async ({ tenantId }) => encodeTenantAccess(await port.getAccess(parseTenantId(tenantId))),
    findCertificate: async ({ host, publicKeyPem }) =>
      (await port.findCertificate(parseText(host, 253), parseText(publicKeyPem, 2_000))) ?? null,
    publish: ({ tenantId, event }, from) => {
      const params = { tenantId: parseTenantId(tenantId), event };
      for (const peer of server.peers) if (peer !== from) peer.notify('deliver', params);
      return null;
    },
    queueMail: async ({ tenantId, order }) => {
      await port.queueMail(parseTenantId(tenantId), order);
      return null;
    },
    keepFile: async ({ tenantId, name }) => {
      const owner = parseTenantId(tenantId);
      const text = parseText(name, 200);
      if (!text.startsWith(`${owner}/`) || !/^[0-9a-z_]+\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(text))
        throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed name of a content' });
      await port.keepFile(owner, text);
      return null;
    },
    recordUse: async ({ tenantIds }) => {
      if (!Array.isArray(tenantIds)) throw kernelErrors.FH_INVALID_REQUEST();
      await port.recordUse(tenantIds.map(parseTenantId));
      return null;
    },
    noteWritten: ({ tenantId }) => port.noteWritten(parseTenantId(tenantId)),
    recordTraffic: ({ reports }) => {
      if (!Array.isArray(reports) || reports.length > 20_000) throw kernelErrors.FH_INVALID_REQUEST();
      port.recordTraffic(reports.map(parseTraffic));
      return null;
    },
  };
  const server = createRpcServer<LinkProtocol>({ socketPath, mode, handlers, log });
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    tenantChanged: async (tenantId) => {
      await server.broadcast('tenantChanged', { tenantId }, { timeoutMs: answerWithinMs });
    },
    collectMetrics: async () => {
      const answers = await Promise.allSettled(
        [...server.peers].map((peer) => peer.call('metrics', null, { timeoutMs: 2_000 })),
      );
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    },
    get gateways() {
      return server.peers.size;
    },
  };
}

function parseTraffic({ tenantId, version, requests, errors, durationsMs }: WireTraffic): WireTraffic {
  const isCount = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
  if (
    ![requests, errors].every(isCount) ||
    !Array.isArray(durationsMs) ||
    durationsMs.length > 500 ||
    !durationsMs.every(isCount)
  )
    throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed traffic' });
  return { tenantId: parseTenantId(tenantId), version: parseText(version, 64), requests, errors, durationsMs };
}

function parseText(value: unknown, maxLength: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxLength)
    throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed text' });
  return value;
}
