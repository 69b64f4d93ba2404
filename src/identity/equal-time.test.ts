/**
 * What a stranger could tell by time at the doors that cost no password hash: second step, discovery of single sign-on, SCIM. Known and unknown in pairs of the same run, never
 * against a clock; 10,000 samples a door with FREEHOLD_SLOW_TESTS=1. All doors, with the hashing ones: `bench/timing.ts`.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createDoors, type Doors } from './doors.fixture.ts';
import { pairedT, randomBits, samplePairs } from './sampling.fixture.ts';
import { startTwoTenants, type TwoTenants } from './two-tenants.fixture.ts';

const pairs = process.env.FREEHOLD_SLOW_TESTS === '1' ? 5_000 : 500;
const limit = 4.5;
const names = [
  'second step',
  'second step by passkey',
  'discovery of single sign-on',
  'discovery, domain of a connection',
  'SCIM token',
];

describe('time says nothing', { timeout: 1_200_000 }, () => {
  let two: TwoTenants;
  let doors: Doors;
  const seed = Number(process.env.FREEHOLD_TEST_SEED ?? randomInt(1, 1_000_000));
  const coin = randomBits(seed);
  before(async () => {
    two = await startTwoTenants();
    doors = await createDoors(two);
  });
  after(async () => {
    await doors?.reset();
    await two?.stop();
  });

  const reset = async () => {};
  for (const name of names)
    it(`known and unknown at: ${name}`, async (context) => {
      const door = doors.doors.find((one) => one.name === name)!;
      let t = 0;
      // One in 150,000 runs is beyond the limit by chance, by |t| alone; twice in a row is a difference.
      for (let run = 0; run < 2; run++) {
        t = pairedT(await samplePairs(door, pairs, { reset, coin }));
        context.diagnostic(`seed ${seed}, ${pairs} pairs: t = ${t.toFixed(2)}`);
        if (Math.abs(t) < limit) break;
      }
      assert.ok(Math.abs(t) < limit, `t = ${t}`);
    });

  it('a statement more for one of the two is seen', async (context) => {
    const door = doors.doors.find(({ name }) => name === 'discovery of single sign-on')!;
    const leaky = {
      act: async (kind: 'known' | 'unknown', turn: number) => {
        if (kind === 'known') await two.databases.platform.read(two.a.tenantId, (db) => db.query('SELECT 1'));
        return door.act(kind, turn);
      },
    };
    const t = pairedT(await samplePairs(leaky, pairs, { reset, coin }));
    context.diagnostic(`seed ${seed}: t = ${t.toFixed(2)}`);
    assert.ok(t > limit, `t = ${t}`);
  });
});
