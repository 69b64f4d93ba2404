/**
 * Single-key shortcuts. They rest while somebody types, while a dialog or menu is open, and when they were switched off
 * (WCAG 2.1.4: people who dictate, or whose hands touch keys by accident, must be able to do so).
 */
import { useEffect, useRef, useSyncExternalStore } from 'react';

/** By `event.key`; two keys one after the other as `g h`. Returning false lets the browser have the key. */
export type Shortcuts = Readonly<Record<string, (event: KeyboardEvent) => unknown>>;

const chordMs = 1_200;
const storageKey = 'desk-shortcuts';
const listeners = new Set<() => void>();

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    let first: { key: string; atMs: number } | undefined;
    const handle = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (isBusy(event)) return;
      if (event.key.length === 1 && !areShortcutsOn()) return;
      const chord = first && event.timeStamp - first.atMs < chordMs ? `${first.key} ${event.key}` : undefined;
      first = { key: event.key, atMs: event.timeStamp };
      const run = (chord && latest.current[chord]) || latest.current[event.key];
      if (!run) return;
      if (run(event) !== false) event.preventDefault();
    };
    document.addEventListener('keydown', handle);
    return () => document.removeEventListener('keydown', handle);
  }, []);
}

function isBusy(event: KeyboardEvent): boolean {
  const target = event.target instanceof HTMLElement ? event.target : undefined;
  if (target?.isContentEditable) return true;
  if (target && /^(TEXTAREA|SELECT)$/.test(target.tagName)) return true;
  if (target instanceof HTMLInputElement && target.type !== 'checkbox' && target.type !== 'radio') return true;
  // Menus and lists have keys of their own; a dialog covers the page (a side panel does not).
  if (target?.closest('[role="menu"], [role="listbox"]')) return true;
  const dialogs = document.querySelectorAll<HTMLElement>('[role="dialog"][aria-modal="true"]');
  return [...dialogs].some((dialog) => dialog.checkVisibility());
}

export function areShortcutsOn(): boolean {
  try {
    return localStorage.getItem(storageKey) !== 'off';
  } catch {
    return true;
  }
}

export function useShortcutsSwitch(): [boolean, (on: boolean) => void] {
  const on = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, areShortcutsOn);
  return [
    on,
    (next) => {
      try {
        if (next) localStorage.removeItem(storageKey);
        else localStorage.setItem(storageKey, 'off');
      } catch {
        // Storage is forbidden: they stay on.
      }
      for (const listener of listeners) listener();
    },
  ];
}
