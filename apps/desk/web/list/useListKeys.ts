/** `j` and `k` go from row to row, `x` selects. With the panel open, it follows. */
import { useRef, useState } from 'react';
import type { ItemSummary } from '../../api.ts';
import { useShortcuts } from '../shell/shortcuts.ts';

export interface ListKeys {
  /** The row that Tab reaches. */
  readonly currentId: string | undefined;
  readonly setCurrent: (itemId: string) => void;
  /** Puts the focus back on the current row, for example after the panel was closed. */
  readonly refocus: () => void;
}

export interface ListKeyOptions {
  readonly openedKey: string | undefined;
  readonly onOpen: (item: ItemSummary, how: 'replace' | 'push') => void;
  readonly onToggle: (itemId: string, upTo?: boolean) => void;
  readonly onEscape: () => void;
}

export function useListKeys(items: readonly ItemSummary[], options: ListKeyOptions): ListKeys {
  const [chosenId, setChosenId] = useState<string>();
  const touched = useRef(false);
  const opened = items.findIndex((item) => item.key === options.openedKey);
  const chosen = items.findIndex((item) => item.id === chosenId);
  const at = chosen >= 0 ? chosen : Math.max(0, opened);
  const step = (by: number) => {
    if (items.length === 0) return;
    // The first press goes to the first row, not past it.
    const next = touched.current || opened >= 0 ? Math.max(0, Math.min(at + by, items.length - 1)) : at;
    touched.current = true;
    const item = items[next];
    if (!item) return;
    setChosenId(item.id);
    focusRow(item.id);
    if (options.openedKey) options.onOpen(item, 'replace');
  };
  useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: (event) => (isOnRow(event) ? step(1) : false),
    ArrowUp: (event) => (isOnRow(event) ? step(-1) : false),
    x: () => {
      const item = items[at];
      if (item) options.onToggle(item.id);
    },
    X: () => {
      const item = items[at];
      if (item) options.onToggle(item.id, true);
    },
    Escape: () => {
      if (options.openedKey) return false;
      options.onEscape();
      return true;
    },
  });
  return {
    currentId: items[at]?.id,
    setCurrent: (itemId) => {
      touched.current = true;
      setChosenId(itemId);
    },
    refocus: () => {
      const item = items[at];
      if (item) requestAnimationFrame(() => focusRow(item.id));
    },
  };
}

function focusRow(itemId: string): void {
  const link = document.querySelector<HTMLElement>(`[data-row="${CSS.escape(itemId)}"] a[data-open]`);
  link?.focus();
  link?.scrollIntoView({ block: 'nearest' });
}

function isOnRow(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.closest('[data-row]') !== null;
}
