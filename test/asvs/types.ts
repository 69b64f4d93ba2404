/**
 * `met`: shown by a test, or for a reason that a person can check in the code or the documents (`by`). `partly`: some of it is missing, and the reason says what.
 * `not-met`: missing. `not-applicable`: there is nothing here that the requirement is about.
 */
export type Verdict = 'met' | 'partly' | 'not-met' | 'not-applicable';

export interface AsvsRow {
  /** `V6.2.4`. */
  readonly id: string;
  readonly verdict: Verdict;
  /** One plain sentence or two: how it is met, or what is missing. */
  readonly reason: string;
  readonly tests: readonly AsvsTest[];
  /** No test shows it as a whole: it is so by the shape of the code (`design`), or somebody has read the code, the pages or the documents for it (`review`). */
  readonly by?: 'design' | 'review';
}

export interface AsvsTest {
  /** From the root of the repository. */
  readonly file: string;
  /** As it stands in the source, `${…}` included. */
  readonly title: string;
}

/** File and titles. */
export type Proof = readonly [file: string, ...titles: string[]];

export const met = (id: string, reason: string, ...proofs: readonly Proof[]): AsvsRow => ({
  id,
  verdict: 'met',
  reason,
  tests: testsOf(proofs),
});

export const metBy = (by: 'design' | 'review', id: string, reason: string, ...proofs: readonly Proof[]): AsvsRow => ({
  ...met(id, reason, ...proofs),
  by,
});

export const partly = (id: string, reason: string, ...proofs: readonly Proof[]): AsvsRow => ({
  ...met(id, reason, ...proofs),
  verdict: 'partly',
});

export const notMet = (id: string, reason: string): AsvsRow => ({ id, verdict: 'not-met', reason, tests: [] });

export const notApplicable = (id: string, reason: string): AsvsRow => ({
  id,
  verdict: 'not-applicable',
  reason,
  tests: [],
});

function testsOf(proofs: readonly Proof[]): AsvsTest[] {
  return proofs.flatMap(([file, ...titles]) => titles.map((title) => ({ file, title })));
}
