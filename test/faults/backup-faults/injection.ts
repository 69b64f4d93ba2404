/** What an injection is, and what the product made of it. */
import assert from 'node:assert/strict';
import type { BackupVerdict } from '#src/backups/index.ts';
import { type FaultSystem, inWords } from './system.ts';

/**
 * What the product said, in its own words.
 * - `red`: verification, shipping or a job is red: the fault was there and is known.
 * - `refused`: what would have done harm did not happen, with an error.
 * - `unharmed`: the fault was there, and everything came out as it should.
 */
export interface Observed {
  readonly answer: 'red' | 'refused' | 'unharmed';
  readonly said: string;
}

export interface Injection {
  readonly id: string;
  /** What is done to the system. */
  readonly damage: string;
  /** The cause, as the product must name it. */
  readonly names: RegExp;
  inject(system: FaultSystem): Promise<Observed>;
}

export function red({ findings }: Pick<BackupVerdict, 'findings'>): Observed {
  assert.notEqual(findings.length, 0, 'the verification is green');
  const said = findings.map(({ code, text, tenantName }) => `${code} ${tenantName ?? ''} ${text}`).join('\n');
  return { answer: 'red', said };
}

export const alarm = (said: unknown): Observed => ({ answer: 'red', said: inWords(said) });

export async function refused(attempt: Promise<unknown>): Promise<Observed> {
  return attempt.then(
    () => assert.fail('it was not refused'),
    (error) => ({ answer: 'refused', said: inWords(error) }),
  );
}

/** Verification of a region is green although the fault is, or was, there. */
export async function unharmed(system: FaultSystem, said: string): Promise<Observed> {
  const { findings, verified } = await system.verify(system.world.north);
  assert.deepEqual([findings, verified.length], [[], 2], said);
  return { answer: 'unharmed', said };
}
