/**
 * `node run-files.ts FILE…`: runs test files, two at a time, in the order given; `node --test` would sort them, and the longest, which come
 * late in the alphabet, would keep one core waiting at the end. Says at the end which took longest. The exit code is 1 when anything failed.
 */
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const slowestShown = 12;

const files = process.argv.slice(2);
const running = run({ files, concurrency: 2, timeout: 2_700_000 });
// Passed is only what says so: the summary without a file is the one of the whole run.
process.exitCode = 1;
const durations: { readonly file: string; readonly ms: number }[] = [];
running.on('test:summary', ({ file, success, duration_ms }) => {
  if (file !== undefined) durations.push({ file, ms: duration_ms });
  else if (success) process.exitCode = 0;
});
running
  .compose(new spec())
  .on('end', () => {
    const slowest = durations.sort((a, b) => b.ms - a.ms).slice(0, slowestShown);
    const rows = slowest.map(
      ({ file, ms }) => `${String(Math.round(ms / 1_000)).padStart(6)} s  ${relative('.', file)}`,
    );
    process.stdout.write(`\nslowest of ${durations.length} files:\n${rows.join('\n')}\n`);
  })
  .pipe(process.stdout, { end: false });
