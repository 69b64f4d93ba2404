/**
 * link: what the shipper and control say to each other, over a socket of their own. The shipper gets keys of its cluster, never a tenant's.
 */
export { toShippingNotice, toShippingReport } from './report.ts';
export {
  connectShipperLink,
  createShipperLink,
  type ShipperClient,
  type ShipperLink,
  type ShipperPort,
} from './shipper-link.ts';
export type { ShippingNotice, ShippingReport } from './types.ts';
