import type { Streams } from './context.ts';
import { plain } from './format.ts';

export interface ProgressBar {
  /** @param fraction 0 to 1 */
  show(fraction: number, text: string): void;
  /** Removes the line. */
  end(): void;
}

const width = 24;

/** One line on standard error that is drawn over itself; nothing at all unless a person is watching. */
export function createProgressBar({ stderr }: Streams, title: string): ProgressBar {
  if (!stderr.isTTY) return { show: () => {}, end: () => {} };
  let last = '';
  return {
    show(fraction, text) {
      const filled = Math.round(Math.min(1, Math.max(0, fraction)) * width);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
      const line = `${plain(title)}  ${bar}  ${plain(text)}`.slice(0, (stderr.columns ?? 80) - 1);
      if (line === last) return;
      last = line;
      stderr.write(`\r\u001b[K${line}`);
    },
    end() {
      if (last !== '') stderr.write('\r\u001b[K');
    },
  };
}
