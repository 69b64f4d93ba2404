/** A story is a row of steps, each of which builds on those before. The first that fails ends it, with a picture of every open page. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Freehold, screenshot } from './harness.ts';
import type { Visitor } from './visitor.ts';

export type Step = (name: string, act: () => Promise<void>) => Promise<void>;

export function createSteps(t: TestContext, visitors: () => readonly Visitor[] = () => []): Step {
  return async (name, act) => {
    let broken = false;
    await t.test(name, async () => {
      try {
        await act();
      } catch (error) {
        broken = true;
        const pictures = visitors().map((visitor) => screenshot(visitor.page, `failed-${visitor.name}`));
        await Promise.allSettled(pictures);
        throw error;
      }
    });
    if (broken) throw new Error(`the story ended at the step: ${name}`);
  };
}

/** Name of the process whose log holds this request, for example `gateway-2`. */
export function findWorker(freehold: Freehold, requestId: string): string | undefined {
  const folder = join(freehold.dataDir, 'log');
  return readdirSync(folder)
    .find((file) => file.startsWith('gateway-') && readFileSync(join(folder, file), 'utf8').includes(requestId))
    ?.replace(/\.log$/, '');
}
