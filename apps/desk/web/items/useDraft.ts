import { useCallback, useState } from 'react';

/**
 * Text that is being typed, kept for this tab until it is saved or thrown away: closing a panel, a reload or a lost
 * session costs nobody their words. Undefined: there is no draft.
 */
export function useDraft(name: string): [string | undefined, (text: string | undefined) => void] {
  const key = `desk-draft:${name}`;
  const [draft, setDraft] = useState<{ key: string; text: string | undefined }>(() => ({ key, text: read(key) }));
  const text = draft.key === key ? draft.text : read(key);
  const set = useCallback(
    (next: string | undefined) => {
      setDraft({ key, text: next });
      try {
        if (next === undefined) sessionStorage.removeItem(key);
        else sessionStorage.setItem(key, next);
      } catch {
        // Storage is full or forbidden: the draft lives as long as the page.
      }
    },
    [key],
  );
  return [text, set];
}

function read(key: string): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}
