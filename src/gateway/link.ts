import { isId, kernelErrors, type TenantId } from '#src/kernel/index.ts';
import type { RpcHandlers, RpcPeer, RpcProtocol } from '#src/rpc/index.ts';
import type { TenantAccess, TenantRoute } from '#src/tenants/types.ts';
import type { LiveEvent } from './types.ts';

/** TenantAccess as JSON: keys as base64. */
export type WireTenantAccess = Omit<TenantAccess, 'cookieKey' | 'filesKey' | 'factorsKey' | 'identityKey'> & {
  readonly cookieKey: string;
  readonly filesKey: string;
  readonly factorsKey: string;
  readonly identityKey: string;
};

/** What gateways ask control, and what control asks every gateway, over link.sock. */
export interface LinkProtocol extends RpcProtocol {
  readonly server: {
    readonly findRoute: { params: { host: string }; result: TenantRoute | null };
    readonly getAccess: { params: { tenantId: TenantId }; result: WireTenantAccess };
    /** A certificate for the key of the gateway that asks. */
    readonly findCertificate: { params: { host: string; publicKeyPem: string }; result: string | null };
    /** To every other worker. */
    readonly publish: { params: { tenantId: TenantId; event: LiveEvent }; result: null };
    /** A message to a user, as facts; control writes it, and checks the order anew. */
    readonly queueMail: { params: { tenantId: TenantId; order: unknown }; result: null };
    /** Answered when every region has this content of the tenant. */
    readonly keepFile: { params: { tenantId: TenantId; name: string }; result: null };
    /** Tenants with signed-in use since the last call. */
    readonly recordUse: { params: { tenantIds: readonly TenantId[] }; result: null };
    /** A request may be about to change something at a tenant that a release watches. False: it is about to go back. */
    readonly noteWritten: { params: { tenantId: TenantId }; result: boolean };
    /** How requests to apps that are processes went since the last call. */
    readonly recordTraffic: { params: { reports: readonly WireTraffic[] }; result: null };
  };
  readonly client: {
    /** Answered only when nothing of the tenant is remembered or running any more. */
    readonly tenantChanged: { params: { tenantId: TenantId }; result: null };
    readonly deliver: { params: { tenantId: TenantId; event: LiveEvent }; result: null };
    /** The worker's numbers as prom-client's JSON, to be added up. */
    readonly metrics: { params: null; result: readonly object[] };
  };
}

export interface WireTraffic {
  readonly tenantId: TenantId;
  /** Of the app. */
  readonly version: string;
  readonly requests: number;
  readonly errors: number;
  /** Of at most 500 of them. */
  readonly durationsMs: readonly number[];
}

export type LinkPeer = RpcPeer<LinkProtocol['client']>;
/** What control answers; `createControlLink` makes it of a ControlPort. */
export type LinkServerHandlers = RpcHandlers<LinkProtocol['server'], LinkPeer>;

export function encodeTenantAccess(access: TenantAccess): WireTenantAccess {
  return {
    ...access,
    cookieKey: Buffer.from(access.cookieKey).toString('base64'),
    filesKey: Buffer.from(access.filesKey).toString('base64'),
    factorsKey: Buffer.from(access.factorsKey).toString('base64'),
    identityKey: Buffer.from(access.identityKey).toString('base64'),
  };
}

export function decodeTenantAccess(wire: WireTenantAccess): TenantAccess {
  return {
    ...wire,
    cookieKey: parseKey(wire.cookieKey),
    filesKey: parseKey(wire.filesKey),
    factorsKey: parseKey(wire.factorsKey),
    identityKey: parseKey(wire.identityKey),
  };
}

function parseKey(text: string): Uint8Array {
  const key = Buffer.from(text, 'base64');
  if (key.length !== 32) throw kernelErrors.FH_INTERNAL({ detail: 'a key of a tenant is not 32 bytes' });
  return key;
}

export function parseTenantId(value: unknown): TenantId {
  if (!isId('ten', value)) throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed tenant id' });
  return value;
}
