import type { ObjectName } from '#src/objects/types.ts';
import { parseObjectName } from '../catalogue/names.ts';
import type { Catalogue } from '../catalogue/types.ts';
import { objectsOf } from './apply.ts';
import type { RetentionDecision } from './types.ts';

export type ObjectKind = 'base backup' | 'database' | 'WAL' | 'timeline history' | 'dump' | 'file' | 'other';

/** Objects that share a fate. */
export interface RetentionShare {
  readonly kind: ObjectKind;
  /** Who still needs them, in words; absent: nobody. */
  readonly neededBy?: string;
  readonly objects: number;
  readonly sizeBytes: number;
}

/** A decision for people: what goes, and who needs the rest. Largest first. */
export interface RetentionReport {
  readonly remove: readonly RetentionShare[];
  readonly keep: readonly RetentionShare[];
}

const kinds = {
  manifest: 'base backup',
  base: 'base backup',
  data: 'database',
  wal: 'WAL',
  segment: 'WAL',
  history: 'timeline history',
  dump: 'dump',
  file: 'file',
  other: 'other',
} as const satisfies Record<string, ObjectKind>;

export function reportRetention(catalogue: Catalogue, { remove, keep }: RetentionDecision): RetentionReport {
  const objects = objectsOf(catalogue);
  function addUp(names: Iterable<readonly [ObjectName, string | undefined]>): RetentionShare[] {
    const shares = new Map<string, RetentionShare>();
    for (const [name, neededBy] of names) {
      const kind = kinds[parseObjectName(name)?.kind ?? 'other'];
      const key = `${kind}\n${neededBy}`;
      const before = shares.get(key) ?? { kind, ...(neededBy && { neededBy }), objects: 0, sizeBytes: 0 };
      const sizeBytes = before.sizeBytes + (objects.get(name)?.sizeBytes ?? 0);
      shares.set(key, { ...before, objects: before.objects + 1, sizeBytes });
    }
    return [...shares.values()].sort((a, b) => b.sizeBytes - a.sizeBytes || b.objects - a.objects);
  }
  return {
    remove: addUp(remove.map((name) => [name, undefined] as const)),
    keep: addUp([...keep].map(([name, reasons]) => [name, reasons.join('; ')] as const)),
  };
}
