/** Fault F36: data grows, and one day a restore takes longer than was promised. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { insertDrill } from '#src/backups/index.ts';
import { migrate } from '#src/databases/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { findCheckWarnings } from './checks.ts';
import { readRecoveryTime } from './recovery-time.ts';

const minuteMs = 60_000;
const limitMs = 240 * minuteMs;
const at = (day: number) => new Date(Date.UTC(2026, 0, 1 + day));

let cluster: TestCluster;
let pool: Pool;
before(async () => {
  cluster = await startTestCluster();
  await migrate(cluster.control, { schema: 'public', folder: join(import.meta.dirname, '../../migrations/control') });
  pool = createPool(cluster.control, { max: 2, applicationName: 'test' });
});
after(async () => {
  await pool.stop();
  await cluster.stop();
});

async function drilled(region: string, day: number, minutes: number | undefined): Promise<void> {
  const [startedAt, finishedAt] = [at(day), at(day)];
  const recoveryTimeMs = minutes === undefined ? {} : { recoveryTimeMs: minutes * minuteMs };
  const passed = minutes !== undefined;
  await insertDrill(pool, {
    cluster: 'main',
    region,
    startedAt,
    finishedAt,
    passed,
    ...recoveryTimeMs,
    findings: [],
    checked: {},
  });
}

async function warningsOn(day: number, ...regions: string[]) {
  const measured = await Promise.all(
    regions.map(async (region) => ({ region, recoveryTime: await readRecoveryTime(pool, region, limitMs) })),
  );
  const known = measured.map(({ region, recoveryTime }) => ({ region, ...(recoveryTime && { recoveryTime }) }));
  return findCheckWarnings({ checks: { regions: known, unverifiedTenants: 0, privateServers: [] } }, at(day).getTime());
}

test('drills that become slower warn before the limit for recovery time is passed, each region by itself', async () => {
  assert.equal(await readRecoveryTime(pool, 'north', limitMs), undefined);
  // Two weeks apart, ten minutes slower each time, more or less; and a region that stays as it is.
  for (const [index, noise] of [0, 3, -2, 1, 0].entries()) {
    await drilled('north', index * 14, 100 + index * 10 + noise);
    await drilled('south', index * 14 + 7, 100 - noise);
  }
  // One that failed measured nothing.
  await drilled('north', 58, undefined);
  const { passesLimitAt, lastMs } = (await readRecoveryTime(pool, 'north', limitMs))!;
  assert.equal(lastMs, 140 * minuteMs);
  const passesOn = (Date.parse(passesLimitAt!) - at(0).getTime()) / (at(1).getTime() - at(0).getTime());
  assert.ok(passesOn > 180 && passesOn < 212, `day ${passesOn}`);
  assert.deepEqual(await warningsOn(60, 'north', 'south'), []);

  // Nearer to it by then.
  for (const index of [5, 6, 7, 8, 9, 10]) await drilled('north', index * 14, 100 + index * 10);
  const [risk, ...others] = await warningsOn(140, 'north', 'south');
  assert.deepEqual([risk?.severity, others], ['risk', []]);
  assert.match(risk!.text, /region north .*200 minutes in the last one.*limit of 240 minutes about 2026-07/);

  await drilled('north', 210, 245);
  const [problem] = await warningsOn(211, 'north');
  assert.equal(problem?.severity, 'problem');
  assert.match(problem!.text, /region north took 245 minutes .*the limit is 240 minutes/);
});

test('few drills, or all within days, say nothing about growth', async () => {
  await drilled('young', 0, 10);
  await drilled('young', 1, 50);
  assert.deepEqual(await warningsOn(2, 'young'), []);
  await drilled('young', 2, 200);
  assert.deepEqual(await warningsOn(3, 'young'), []);
});
