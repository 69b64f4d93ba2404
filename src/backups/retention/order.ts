import type { ObjectName } from '#src/objects/types.ts';
import { parseObjectName } from '../catalogue/names.ts';

/** First what makes a backup one, then what only that backup needed, then WAL from the oldest on, so that no hole is ever in the middle. */
const ranks = { manifest: 0, base: 1, data: 2, wal: 3, segment: 3, history: 4, dump: 5, file: 6, other: 7 } as const;

/** An order in which removal may stop anywhere: what is left looks like what it is. */
export function inSafeOrder(names: readonly ObjectName[]): readonly ObjectName[] {
  return names
    .map((name) => ({ name, rank: rankOf(name), key: keyOf(name) }))
    .sort((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

function rankOf(name: ObjectName): number {
  return ranks[parseObjectName(name)?.kind ?? 'other'];
}

/** WAL by timeline and place, chunks and segments together. */
function keyOf(name: ObjectName): string {
  const named = parseObjectName(name);
  if (!named || !('start' in named)) return name;
  return `${named.clusterId}/${String(named.timeline).padStart(10, '0')}/${named.start.toString(16).padStart(16, '0')}`;
}
