/**
 * `prevented`: it cannot do harm, by a design that a test injects it into. `detected`: shipping, a restore or the verification turns red and names the
 * cause. `impossible`: there is nothing here that could have it. `open`: not covered; `missing` says what.
 */
export type FaultOutcome = 'prevented' | 'detected' | 'impossible' | 'open';

export interface BackupFault {
  readonly id: string;
  /** One sentence. */
  readonly what: string;
  readonly outcome: FaultOutcome;
  /** By which design, or why it cannot be. */
  readonly how: string;
  /** Besides the run, those that inject it in other ways or show one part of it alone. */
  readonly tests: readonly FaultTest[];
  /** What is not covered, however good the rest is; required for `open`. */
  readonly missing?: string;
}

/** File from the root of the repository, and the title as it stands in the source, `${…}` included. */
export type FaultTest = readonly [file: string, title: string];
