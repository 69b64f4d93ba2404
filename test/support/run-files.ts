/**
 * `node run-files.ts FILE…`: runs test files, two at a time, in the order given; `node --test` would sort them, and the longest, which come
 * late in the alphabet, would keep one core waiting at the end. The exit code is 1 when anything failed.
 */
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const files = process.argv.slice(2);
const running = run({ files, concurrency: 2, timeout: 2_700_000 });
// Passed is only what says so: the summary without a file is the one of the whole run.
process.exitCode = 1;
running.on('test:summary', ({ file, success }) => {
  if (file === undefined && success) process.exitCode = 0;
});
running.compose(new spec()).pipe(process.stdout);
