import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChecksHealth } from '#src/console-api/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { chooseRegion, describeFailed, type LastInRegion, regionsInTurn } from './check-runs.ts';
import { findCheckWarnings } from './checks.ts';

const [north, south, west] = ['north', 'south', 'west'].map((region) => ({ region }) as RegionStore) as [
  RegionStore,
  RegionStore,
  RegionStore,
];
const regions = [north, south, west];
const last = (region: string, at: number, passed: boolean): LastInRegion => ({
  region,
  finishedAt: new Date(at),
  passed,
  findings: passed ? [] : [{ code: 'FH_VERIFY_ROWS_DIFFER', text: 'other rows', tenantName: 'acme' }],
});

test('regions take turns: who never was, then whose last time is longest ago; a name overrules it', () => {
  assert.deepEqual(regionsInTurn(regions, []), regions);
  const some = [last('north', 3, true), last('south', 2, false), last('gone', 1, true)];
  assert.deepEqual(regionsInTurn(regions, some), [west, south, north]);
  assert.equal(chooseRegion(regions, undefined, some), west);
  assert.equal(chooseRegion(regions, 'north', some), north);
  assert.throws(() => chooseRegion(regions, 'gone', some), { code: 'FH_VERIFICATION_UNKNOWN_REGION' });
});

test('one region that failed is told of, however often another passes since', () => {
  assert.equal(describeFailed([last('north', 1, true)]), undefined);
  const failed = describeFailed([last('north', 1, false), last('south', 2, true)]);
  assert.match(failed!, /^region north: tenant acme: other rows$/);

  const at = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();
  const verified = (region: string, day: number, passed: boolean) =>
    ({ at: at(day), passed, region, backupId: 'bak_1', ...(!passed && { finding: 'other rows' }) }) as const;
  const drilled = (region: string, day: number, passed: boolean) =>
    ({ at: at(day), passed, region, ...(!passed && { finding: 'nobody answers' }) }) as const;
  const checks: ChecksHealth = {
    lastVerification: verified('south', 9, true),
    lastVerifiedAt: at(9),
    lastDrill: drilled('south', 9, true),
    regions: [
      { region: 'north', lastVerification: verified('north', 8, false), lastDrill: drilled('north', 8, false) },
      {
        region: 'south',
        lastVerification: verified('south', 9, true),
        lastVerifiedAt: at(9),
        lastDrill: drilled('south', 9, true),
      },
    ],
    unverifiedTenants: 0,
    privateServers: [],
  };
  const warnings = findCheckWarnings({ checks }, Date.parse(at(10)));
  assert.deepEqual(
    warnings.map(({ severity }) => severity),
    ['problem', 'problem'],
  );
  assert.match(warnings[0]!.text, /region north.*other rows/);
  assert.match(warnings[1]!.text, /region north.*nobody answers/);
  // Nothing since: first all together, then each for itself.
  const quiet = { ...checks, regions: checks.regions.slice(1) };
  const texts = (day: number) => findCheckWarnings({ checks: quiet }, Date.parse(at(day))).map(({ text }) => text);
  assert.deepEqual([texts(11).length, texts(13).length, texts(16).length], [0, 1, 2]);
});
