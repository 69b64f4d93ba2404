/** Plants leaks into copies of the product, one at a time, and runs the probes of the copy. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { PlantedLeak } from './leaks/index.ts';
import type { Outcome } from './run-probes.ts';
import { repository, runSuite, type SuiteRun } from './run-suite.ts';

export interface Planting {
  readonly leaks: readonly PlantedLeak[];
  readonly product: SuiteRun['product'];
  /** Holds the copies and what was compiled of them. */
  readonly folder: string;
}

/** More would only wait for each other. */
const maxLanes = 2;

/** Keeps what caught each in test-results. @returns what was not caught, and why */
export async function plantAll({ leaks, product, folder }: Planting): Promise<string[]> {
  const queue = [...leaks];
  const missed: string[] = [];
  const record: object[] = [];
  const lane = async (number: number) => {
    const tree = join(folder, `${product}-${number}`);
    copyTree(tree);
    for (let leak = queue.shift(); leak; leak = queue.shift()) {
      const startedAt = performance.now();
      const outcome = await plant(leak, tree, product, join(folder, 'compiled'));
      const verdict = judge(outcome);
      const [finding] = outcome.findings;
      const milliseconds = Math.round(performance.now() - startedAt);
      record.push({ leak: leak.name, threat: leak.threat, verdict, ...finding, probes: outcome.probes, milliseconds });
      if (verdict !== 'caught') missed.push(`${leak.name}: ${verdict}`);
    }
  };
  const lanes = Math.min(maxLanes, availableParallelism());
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  const results = join(repository, 'test-results');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `planted-leaks-${product}.json`), `${JSON.stringify(record, undefined, 1)}\n`);
  return missed;
}

/** A leak that only breaks the product proves nothing: a probe must have seen it. */
function judge({ findings, error }: Outcome): string {
  if (findings.length > 0) return 'caught';
  return error ? `broken: ${error.slice(0, 600)}` : 'survived';
}

async function plant(
  leak: PlantedLeak,
  tree: string,
  product: SuiteRun['product'],
  compileCache: string,
): Promise<Outcome> {
  const originals = new Map<string, string>();
  try {
    for (const { file, find, replace } of leak.edits) {
      const path = join(tree, file);
      const text = readFileSync(path, 'utf8');
      if (!originals.has(path)) originals.set(path, text);
      assert.equal(text.split(find).length, 2, `"${leak.name}": its text is not there once in ${file}`);
      writeFileSync(
        path,
        text.replace(find, () => replace),
      );
    }
    return await runSuite({
      tree,
      product,
      groups: leak.groups,
      stopAtFirst: true,
      deadlineMs: 750_000,
      compileCache,
    });
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text);
  }
}

/** What is needed to run the product and the suite; what is installed and built is the checkout's own. */
function copyTree(tree: string): void {
  for (const part of ['src', 'apps', 'migrations', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(repository, part), join(tree, part), { recursive: true });
  for (const part of ['node_modules', 'dist']) symlinkSync(join(repository, part), join(tree, part));
}
