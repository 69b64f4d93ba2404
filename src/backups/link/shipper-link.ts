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
  /** Gives every connected shipper the current key. One that is not connected asks for it when it is back. @returns how many took it */
  pushKey(): Promise<number>;
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
    async pushKey() {
      const key = toWire(await port.currentKey());
      return (await server.broadcast('useKey', { key })).answered;
    },
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

export function connectShipperLink({
  socketPath,
  log,
  onKey,
}: {
  readonly socketPath: string;
  readonly log: Log;
  /** The current key of the cluster, when it has changed and when control is back: it may have changed meanwhile. */
  readonly onKey: (key: BackupKey) => void;
}): ShipperClient {
  let hasBegun = false;
  let connected = Promise.withResolvers<void>();
  const rpc = connectRpc<ShipperLinkProtocol>({
    socketPath,
    log,
    handlers: {
      useKey: ({ key }) => {
        onKey(fromWire(key));
        return null;
      },
    },
    onConnected: () => {
      if (hasBegun) askForKey();
      connected.resolve();
      connected = Promise.withResolvers();
    },
  });
  function askForKey(): void {
    rpc.call('begin', null, { timeoutMs: 30_000 }).then(
      ({ key }) => onKey(fromWire(key)),
      // The one in use stays good: older versions are readable for ever.
      (error) => log.info('control did not say which key is the current one', { error }),
    );
  }

  return {
    async begin(signal) {
      for (;;) {
        signal.throwIfAborted();
        const connection = connected.promise;
        try {
          const { clusterId, key } = await rpc.call('begin', null, { timeoutMs: 30_000 });
          hasBegun = true;
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
