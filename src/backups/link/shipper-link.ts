import { type ClusterId, kernelErrors, type Log } from '#src/kernel/index.ts';
import { isKeyId, parseKeyId } from '#src/keys/index.ts';
import type { BackupKey, KeyId } from '#src/keys/types.ts';
import { connectRpc, createRpcServer } from '#src/rpc/index.ts';
import type { ShipperLinkProtocol, ShippingNotice, ShippingReport, WireKey } from './types.ts';

/** What control lends to the shipper of its cluster. */
export interface ShipperPort {
  readonly clusterId: ClusterId;
  /** The current key of the cluster, which lies in a region. */
  currentKey(): Promise<BackupKey>;
  openKey(keyId: KeyId): Promise<BackupKey>;
  onNotice(notice: ShippingNotice): Promise<void>;
}

export interface ShipperLink {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The newest report; undefined when no shipper is connected, or it has not told anything yet. */
  readonly report: ShippingReport | undefined;
}

/** Control's end of the shipper's socket. */
export function createShipperLink(options: {
  readonly socketPath: string;
  readonly mode: number;
  readonly port: ShipperPort;
  readonly log: Log;
}): ShipperLink {
  const { socketPath, mode, port, log } = options;
  let report: ShippingReport | undefined;
  const server = createRpcServer<ShipperLinkProtocol>({
    socketPath,
    mode,
    log,
    handlers: {
      begin: async () => ({ clusterId: port.clusterId, key: toWire(await port.currentKey()) }),
      openKey: async ({ keyId }) => {
        if (!isKeyId(keyId) || parseKeyId(keyId).owner !== port.clusterId)
          throw kernelErrors.FH_INVALID_REQUEST({ detail: 'not a key of the cluster' });
        return toWire(await port.openKey(keyId));
      },
      report: (params) => {
        report = params.report;
        return null;
      },
      notice: async (notice) => {
        await port.onNotice(notice);
        return null;
      },
    },
    onPeer: (peer) => {
      void peer.closed.then(() => {
        report = undefined;
      });
    },
  });
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    get report() {
      return report;
    },
  };
}

/** The shipper's end. */
export interface ShipperClient {
  /** Waits for control, however long it takes. */
  begin(signal: AbortSignal): Promise<{ clusterId: ClusterId; key: BackupKey }>;
  openKey(keyId: KeyId): Promise<BackupKey>;
  report(report: ShippingReport): void;
  notice(notice: ShippingNotice): Promise<void>;
  close(): Promise<void>;
}

export function connectShipperLink({ socketPath, log }: { socketPath: string; log: Log }): ShipperClient {
  let connected = Promise.withResolvers<void>();
  const rpc = connectRpc<ShipperLinkProtocol>({
    socketPath,
    log,
    handlers: {},
    onConnected: () => {
      connected.resolve();
      connected = Promise.withResolvers();
    },
  });
  return {
    async begin(signal) {
      for (;;) {
        signal.throwIfAborted();
        const connection = connected.promise;
        try {
          const { clusterId, key } = await rpc.call('begin', null, { timeoutMs: 30_000 });
          return { clusterId, key: fromWire(key) };
        } catch (error) {
          log.info('control has no key for the shipper yet', { error });
        }
        // Control comes back, or a region does.
        await Promise.race([connection, pause(1_000, signal)]);
      }
    },
    openKey: async (keyId) => fromWire(await rpc.call('openKey', { keyId })),
    report: (report) => rpc.notify('report', { report }),
    notice: async (notice) => void (await rpc.call('notice', notice)),
    close: () => rpc.close(),
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

function toWire({ keyId, key }: BackupKey): WireKey {
  return { keyId, key: key.toString('base64') };
}

function fromWire({ keyId, key }: WireKey): BackupKey {
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== 32) throw kernelErrors.FH_INTERNAL({ detail: 'a key of the cluster is not 32 bytes' });
  return { keyId, key: bytes };
}
