/**
 * shipping: WAL from the primary through a spool into every region, sealed, in order, and the way back. Invariants: received ≥ spooled ≥ shipped;
 * nothing of the spool is removed before every region has it; a commit that asks for it waits until they have.
 */
export type { ShippingEvent } from './events.ts';
export { type Figure, lagBucketsMs, shippingFigures } from './figures.ts';
export type { SpoolFiles } from './shipped-place.ts';
export { type OpenShippedWalOptions, openShippedWal } from './shipped-wal.ts';
export { type Shipper, type ShipperOptions, startShipper } from './shipper.ts';
export { parseTimelineHistory, type TimelineStep, type WalPosition } from './timeline.ts';
export type { FindKey, WalOwner, WalRange } from './wal-objects.ts';
export { asWalSource, type ReadWalOptions, readWal, type WalArchive } from './wal-reader.ts';
