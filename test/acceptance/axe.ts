/** axe-core, run inside a page: what it calls serious or critical. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const source = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string | null;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly unknown[]; readonly html: string }[];
}

/** WCAG 2.2, levels A and AA, and what axe counts as good practice. */
export async function findSeriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(source);
  const violations: readonly Violation[] = await page.evaluate(
    // biome-ignore lint/suspicious/noExplicitAny: a global of the page.
    async () => (await (globalThis as any).axe.run(document, { resultTypes: ['violations'] })).violations,
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes
        // The button shows initials, a picture of the name that it has in full.
        .filter(({ html }) => id !== 'label-content-name-mismatch' || !html.includes('aria-label="Account of '))
        .map(({ target, html }) => `axe, ${id}: ${help} (${target.join(' ')}: ${html.slice(0, 200)})`),
    );
}
