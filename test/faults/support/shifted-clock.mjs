/**
 * Preloaded into processes of the product (node --import): moves their wall clock by as many milliseconds as the file says that is named after
 * their role, in the folder that this module's address names (`?folder=…`). Monotonic time and timers stay as they are, as on a machine whose
 * clock is set.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = new URL(import.meta.url).searchParams.get('folder');
const role = process.argv.at(-1);
const RealDate = Date;
let offsetMs = 0;
let lookedAtMs = Number.NEGATIVE_INFINITY;

function offset() {
  if (performance.now() - lookedAtMs > 20) {
    lookedAtMs = performance.now();
    try {
      offsetMs = Number(readFileSync(join(folder, role), 'utf8'));
    } catch {
      // Not set, or a user who may not look: the clock is right.
    }
  }
  return offsetMs;
}

class ShiftedDate extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + offset());
    else super(...parts);
  }
  static now() {
    return RealDate.now() + offset();
  }
}
Object.defineProperty(ShiftedDate, 'name', { value: 'Date' });
globalThis.Date = ShiftedDate;
