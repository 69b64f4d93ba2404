import type { WalPosition } from './timeline.ts';

/** What somebody should know; main writes it to the audit log and raises or ends alarms. */
export type ShippingEvent =
  /** WAL that no region will ever hold: a new base backup is needed at once. */
  | { readonly kind: 'wal.gap'; readonly from: WalPosition; readonly to: WalPosition }
  /** A failover left WAL behind that regions hold (`kept` to `held`) and the cluster does not; shipping goes on at `from`. */
  | {
      readonly kind: 'wal.diverged';
      readonly held: WalPosition;
      readonly kept: WalPosition;
      readonly from: WalPosition;
    }
  | { readonly kind: 'wal.second_writer'; readonly detail: string }
  | { readonly kind: 'slot.lost' }
  | { readonly kind: 'slot.near_limit'; readonly heldBytes: number; readonly limitBytes: number }
  | { readonly kind: 'slot.has_room' }
  | { readonly kind: 'region.away'; readonly region: string; readonly error: unknown }
  | { readonly kind: 'region.back'; readonly region: string }
  /** The spool would have become too full: what the region lacks is no longer there, but in another region, from which it will be copied. */
  | { readonly kind: 'region.owed'; readonly region: string; readonly sizeBytes: number }
  | { readonly kind: 'region.caught_up'; readonly region: string }
  /** No region takes anything: nothing is received until one does. */
  | { readonly kind: 'spool.full'; readonly sizeBytes: number; readonly limitBytes: number }
  | { readonly kind: 'spool.has_room' };
