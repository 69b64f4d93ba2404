import type { ClusterId } from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';
import type { RpcProtocol } from '#src/rpc/types.ts';
import type { Figure } from '../shipping/index.ts';

/** Where the WAL of a cluster stands, as the shipper tells control about every second. LSNs as PostgreSQL prints them. */
export interface ShippingReport {
  readonly timeline: number;
  readonly primary: string;
  readonly flushed: string;
  readonly receiver: { readonly state: 'connecting' | 'streaming' | 'stopped'; readonly lastError?: string };
  readonly regions: readonly {
    readonly region: string;
    readonly shipped: string;
    /** WAL of the primary that the region lacks. */
    readonly behindBytes: number;
    /** The oldest byte that is owed waits this long. */
    readonly lagMs: number;
    readonly state: 'shipping' | 'behind' | 'away';
    /** Of that, what no longer lies in the spool: it is copied from another region. */
    readonly owedBytes: number;
    /** WAL that the region lacks, wherever it lies now; exclusive ends. */
    readonly lacking: readonly { readonly timeline: number; readonly start: string; readonly end: string }[];
    readonly lastError?: string;
  }[];
  readonly spoolBytes: number;
  readonly spoolFull: boolean;
  readonly slot: 'fine' | 'near_limit';
  /** WAL that no region holds, since the shipper started. */
  readonly gaps: number;
  /** Code of the error that ended shipping for good. */
  readonly stoppedBy?: string;
  readonly figures: readonly Figure[];
}

/** An event of shipping for the audit log. */
export interface ShippingNotice {
  readonly kind: string;
  readonly details: Readonly<Record<string, string | number>>;
}

export interface WireKey {
  readonly keyId: KeyId;
  /** 32 bytes, base64. */
  readonly key: string;
}

/** What the shipper asks control, over a socket that only its user may open. It gets the keys of its cluster and no tenant's. */
export interface ShipperLinkProtocol extends RpcProtocol {
  readonly server: {
    /** Answered once the key lies in a region: nothing is sealed under a key that a lost machine would take along. */
    readonly begin: { params: null; result: { readonly clusterId: ClusterId; readonly key: WireKey } };
    readonly openKey: { params: { readonly keyId: KeyId }; result: WireKey };
    readonly report: { params: { readonly report: ShippingReport }; result: null };
    readonly notice: { params: ShippingNotice; result: null };
  };
  readonly client: {
    /** The cluster has a new key, which lies in a region: everything is sealed under it from now on. */
    readonly useKey: { params: { readonly key: WireKey }; result: null };
  };
}
