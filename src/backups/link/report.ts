import { formatLsn } from '#src/kernel/index.ts';
import type { ShippingEvent } from '../shipping/index.ts';
import { shippingFigures } from '../shipping/index.ts';
import type { ShipperStatus } from '../types.ts';
import type { ShippingNotice, ShippingReport } from './types.ts';

/** What control shows of the shipper. */
export function toShippingReport(status: ShipperStatus): ShippingReport {
  const { receiver, regions, slot } = status;
  return {
    timeline: status.timeline,
    primary: formatLsn(status.primary),
    flushed: formatLsn(status.flushed),
    receiver: { state: receiver.state, ...(receiver.lastError !== undefined && { lastError: receiver.lastError }) },
    regions: regions.map(({ region, shipped, lagMs, state, owedBytes, lacking, lastError }) => ({
      region,
      shipped: formatLsn(shipped),
      behindBytes: Number(status.primary > shipped ? status.primary - shipped : 0n),
      lagMs,
      state,
      owedBytes,
      lacking: lacking.map(({ timeline, start, end }) => ({ timeline, start: formatLsn(start), end: formatLsn(end) })),
      ...(lastError !== undefined && { lastError }),
    })),
    spoolBytes: status.spoolBytes,
    spoolFull: status.spoolFull,
    slot: slot.state,
    gaps: status.gaps.length,
    ...(status.stoppedBy !== undefined && { stoppedBy: status.stoppedBy }),
    figures: shippingFigures(status),
  };
}

/** Flat, for the audit log: places as `timeline:LSN`, errors as their words. */
export function toShippingNotice({ kind, ...facts }: ShippingEvent): ShippingNotice {
  const details: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(facts as Record<string, unknown>)) {
    if (typeof value === 'string' || typeof value === 'number') details[name] = value;
    else if (value instanceof Error) details[name] = value.message;
    else if (typeof value === 'object' && value !== null && 'lsn' in value && 'timeline' in value)
      details[name] = `${value.timeline}:${formatLsn(value.lsn as bigint)}`;
  }
  return { kind, details };
}
