/**
 * `node run-files.ts FILE…`: runs test files in the order given, two at a time, and beside them, one at a time, those that mostly wait for
 * servers and disks; `node --test` would sort them, and the longest, which come late in the alphabet, would keep one core waiting at the end.
 * Says at the end which took longest. The exit code is 1 when anything failed.
 */
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const slowestShown = 12;
/** A fifth to a third of a core each, measured: two of them at a time would leave a machine of two cores with nothing to do. */
const waiting = /^(src\/(backups|clusters)|test\/faults\/(backup-fault-run|disk-full|ledger))\b/;

const files = process.argv.slice(2);
const isWaiting = (file: string) => waiting.test(relative('.', file));
const lanes = [
  { files: files.filter((file) => !isWaiting(file)), concurrency: 2 },
  { files: files.filter(isWaiting), concurrency: 1 },
].filter((lane) => lane.files.length > 0);

// Passed is only what says so: the summary without a file is the one of a whole lane.
process.exitCode = 1;
let passed = 0;
const durations: { readonly file: string; readonly ms: number }[] = [];
/** Of one test; the long soak runs are a single one. */
const timeout = process.env.FREEHOLD_SLOW_TESTS ? 7_200_000 : 900_000;
const execArgv = ['--import', join(import.meta.dirname, 'ends-by-itself.ts')];
const running = lanes.map((lane) => run({ ...lane, timeout, execArgv }));
for (const one of running)
  one.on('test:summary', ({ file, success, duration_ms }) => {
    if (file !== undefined) durations.push({ file, ms: duration_ms });
    else if (success && ++passed === lanes.length) process.exitCode = 0;
  });
// One lane after the other, so that the reporter can tell whose line is whose.
Readable.from(eventsOf(running))
  .compose(spec)
  .on('end', () => {
    const slowest = durations.sort((a, b) => b.ms - a.ms).slice(0, slowestShown);
    const rows = slowest.map(
      ({ file, ms }) => `${String(Math.round(ms / 1_000)).padStart(6)} s  ${relative('.', file)}`,
    );
    process.stdout.write(`\nslowest of ${durations.length} files:\n${rows.join('\n')}\n`);
  })
  .pipe(process.stdout, { end: false });

async function* eventsOf(streams: readonly ReturnType<typeof run>[]) {
  for (const stream of streams) yield* stream;
}
