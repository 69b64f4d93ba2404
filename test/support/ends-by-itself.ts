/**
 * Loaded before every test file: one that has run all its tests and does not end, because something that it began still runs, fails and
 * says what it is, instead of keeping the whole run waiting.
 */
import { after } from 'node:test';

/** Other hooks come after this one, and stop whole installations. */
const patienceMs = 180_000;

after(() => {
  setTimeout(() => {
    process.stderr.write(
      `${process.argv[1]} has run all its tests and does not end; open: ${process.getActiveResourcesInfo().join(', ')}\n`,
    );
    process.exit(1);
  }, patienceMs).unref();
});
