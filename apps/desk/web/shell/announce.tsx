/** Says to screen readers what happened where nothing else on the page would. */
import { VisuallyHidden } from '@mantine/core';
import { useSyncExternalStore } from 'react';

let text = '';
const listeners = new Set<() => void>();

export function announce(message: string): void {
  // The same words twice are not read twice; a blank at the end makes them new.
  text = message === text ? `${message}\u00a0` : message;
  for (const listener of listeners) listener();
}

export function Announcer() {
  const message = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => text,
  );
  return (
    <VisuallyHidden role="status" aria-live="assertive" data-testid="announcer">
      {message}
    </VisuallyHidden>
  );
}
