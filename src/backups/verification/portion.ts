import type { TenantId } from '#src/kernel/index.ts';

export interface Candidate {
  readonly tenantId: TenantId;
  /** Of its files in the base backup. */
  readonly sizeBytes: number;
  /** undefined: never. */
  readonly verifiedAt: Date | undefined;
}

export interface PortionLimits {
  readonly tenants: number;
  readonly bytes: number;
}

/**
 * Whose rows are compared this time: those that have waited longest, as many as sessions and room on the disk allow, one at least. A small installation
 * is compared as a whole each time; of a large one every tenant has its turn.
 */
export function choosePortion(candidates: readonly Candidate[], limits: PortionLimits): readonly TenantId[] {
  const waiting = [...candidates].sort(
    (one, other) =>
      (one.verifiedAt?.getTime() ?? 0) - (other.verifiedAt?.getTime() ?? 0) || (one.tenantId < other.tenantId ? -1 : 1),
  );
  const chosen: TenantId[] = [];
  let bytes = 0;
  for (const { tenantId, sizeBytes } of waiting) {
    if (chosen.length >= limits.tenants) break;
    if (chosen.length > 0 && bytes + sizeBytes > limits.bytes) continue;
    chosen.push(tenantId);
    bytes += sizeBytes;
  }
  return chosen;
}
