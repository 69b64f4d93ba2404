/**
 * The run of backup faults: each of F01 to F36 that can exist here is really made on one system, and must be prevented or noticed with its cause, as
 * docs/backup-faults.md says. In between the system is clean again, and its verification green. FREEHOLD_SLOW_TESTS=1 looks after each of them, and at
 * least 50 times; otherwise after some. FREEHOLD_FAULTS="F02 F19" makes these alone.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { backupInjections } from './backup-faults/inject-backups.ts';
import { restoreInjections } from './backup-faults/inject-restores.ts';
import { walInjections } from './backup-faults/inject-wal.ts';
import type { Injection } from './backup-faults/injection.ts';
import { type FaultSystem, startFaultSystem } from './backup-faults/system.ts';
import { backupFaults } from './backup-faults.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const only = process.env.FREEHOLD_FAULTS?.split(/\W+/);
const cleanRuns = isSlow ? 50 : 0;
/** Without FREEHOLD_SLOW_TESTS: a look after so many faults, and at the end. */
const lookEvery = isSlow ? 1 : 12;

let system: FaultSystem;
before(async () => {
  system = await startFaultSystem();
});
after(() => system?.remove());

const injections: readonly Injection[] = [...walInjections, ...backupInjections, ...restoreInjections];
const possible = backupFaults.filter(({ outcome }) => outcome !== 'impossible');
const impossible = backupFaults.filter(({ outcome }) => outcome === 'impossible');

test('every fault that can exist is injected, and the system is green before and after', async (context) => {
  assert.deepEqual(
    injections.map(({ id }) => id).sort(),
    possible.map(({ id }) => id),
  );
  let looks = 0;
  const look = async (after: string) => {
    const { north, south } = system.world;
    const { findings, verified } = await system.verify(looks++ % 2 === 0 ? north : south);
    assert.deepEqual([findings, verified.length], [[], 2], `red after ${after}`);
  };
  await look('nothing');
  const wrong: string[] = [];
  const shown = new Map<string, string>();
  const chosen = injections.filter(({ id }) => only?.includes(id) ?? true);
  for (const [index, injection] of chosen.entries()) {
    const { id, damage, names } = injection;
    const startedAt = performance.now();
    const { answer, said } = await injection.inject(system).catch((cause) => {
      throw new Error(`${id}: ${damage}`, { cause });
    });
    const outcome = answer === 'red' ? 'detected' : 'prevented';
    const expected = backupFaults.find((fault) => fault.id === id)!.outcome;
    if (outcome !== expected) wrong.push(`${id} is ${outcome}, and not ${expected}`);
    if (!names.test(said)) wrong.push(`${id}: the cause is not named in: ${said}`);
    if (outcome === expected && names.test(said)) shown.set(id, outcome);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    context.diagnostic(`${id} ${outcome} (${seconds} s): ${damage}: ${said.replaceAll('\n', ' ').slice(0, 200)}`);
    if ((index + 1) % lookEvery === 0) await look(id);
  }
  do await look(chosen.at(-1)!.id);
  while (looks < cleanRuns);

  const those = (outcome: string) =>
    [...shown]
      .filter(([, each]) => each === outcome)
      .map(([id]) => id)
      .sort()
      .join(' ');
  context.diagnostic(`${shown.size} of ${chosen.length}`);
  context.diagnostic(`prevented by design: ${those('prevented')}`);
  context.diagnostic(`noticed, with the cause: ${those('detected')}`);
  for (const { id, how } of impossible) context.diagnostic(`${id} cannot be: ${how}`);
  context.diagnostic(`${looks} clean verifications, all green`);
  assert.deepEqual(wrong, []);
});
