import { regionErrors } from './region-errors.ts';

/**
 * What says "this place is the region": a file or an object beside the others, written once, when the region is set up. An empty mount point
 * has none, nor has the wrong bucket, and that of another region has its name in it.
 */
export const markerName = '.freehold-region';

export function markerContent(region: string): Buffer {
  return Buffer.from(`${JSON.stringify({ format: 1, region })}\n`);
}

/** Throws FH_REGION_REFUSED unless it is the marker of this region. */
export function checkMarker(region: string, bytes: Uint8Array, place: string): void {
  const found = nameIn(bytes);
  if (found === region) return;
  throw regionErrors.FH_REGION_REFUSED({
    detail:
      found === undefined
        ? `region ${region}: ${place} holds a ${markerName} that is not ours`
        : `region ${region}: ${place} is the region ${found}`,
    hint: 'Correct where this region lies, or call it by the name that it has there.',
  });
}

function nameIn(bytes: Uint8Array): string | undefined {
  try {
    const { format, region } = JSON.parse(Buffer.from(bytes).toString()) as { format?: unknown; region?: unknown };
    return format === 1 && typeof region === 'string' && /^[a-z0-9_]{1,64}$/.test(region) ? region : undefined;
  } catch {
    return undefined;
  }
}
