import { useCallback, useMemo, useRef, useState } from 'react';
import type { ItemSummary } from '../../api.ts';

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** `upTo`: everything from the last one toggled to this one (Shift). */
  readonly toggle: (itemId: string, upTo?: boolean) => void;
  readonly all: boolean;
  readonly toggleAll: () => void;
  readonly clear: () => void;
}

/** Only what is shown can be selected: an item that a filter takes away is no longer changed with the others. */
export function useSelection(items: readonly ItemSummary[]): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const last = useRef<string | undefined>(undefined);
  const latest = useRef(items);
  latest.current = items;
  const ids = useMemo(
    () => new Set(items.filter((item) => chosen.has(item.id)).map((item) => item.id)),
    [items, chosen],
  );
  const toggle = useCallback((itemId: string, upTo = false) => {
    const range = upTo ? rangeOf(latest.current, last.current, itemId) : [itemId];
    last.current = itemId;
    setChosen((before) => {
      const next = new Set(before);
      const on = !before.has(itemId);
      for (const id of range) {
        if (on) next.add(id);
        else next.delete(id);
      }
      return next;
    });
  }, []);
  const all = items.length > 0 && ids.size === items.length;
  return {
    ids,
    toggle,
    all,
    toggleAll: () => setChosen(all ? new Set() : new Set(items.map((item) => item.id))),
    clear: useCallback(() => setChosen(new Set()), []),
  };
}

function rangeOf(items: readonly ItemSummary[], from: string | undefined, to: string): string[] {
  const start = items.findIndex((item) => item.id === from);
  const end = items.findIndex((item) => item.id === to);
  if (start < 0 || end < 0) return [to];
  return items.slice(Math.min(start, end), Math.max(start, end) + 1).map((item) => item.id);
}
