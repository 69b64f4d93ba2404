/** Retention over simulated years: what could be restored can be, nothing stays for ever, and a second look finds nothing more to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterId } from '../catalogue/catalogue.fixture.ts';
import { planRestore } from '../catalogue/plan.ts';
import type { Wanted } from '../catalogue/plan-types.ts';
import type { Catalogue } from '../catalogue/types.ts';
import { decideRetention } from './decide.ts';
import type { RetentionRequest } from './types.ts';
import { createYear, daySeconds, type YearOptions } from './year.fixture.ts';

const policy = { days: 180, fullEveryDays: 7 };
/** Beyond the days of retention: until the next good backup is old, clocks that are days off, a region that was away. */
const slackDays = 40;

function runYear({ seed, times }: YearOptions, days: number) {
  const year = createYear({ seed, times });
  const orphanSince = new Map<string, Date>();
  let checked = 0;
  let removed = 0;
  for (let day = 1; day <= days; day++) {
    for (let step = 0; step < 4; step++) year.step();
    // From when something can go; a week's failures lie between two looks.
    if (day < 175 || day % 5 !== 0) continue;
    const before = year.catalogue();
    const request: RetentionRequest = {
      catalogue: before,
      policy,
      now: year.now(),
      inProgress: year.inProgress(),
      holds: [],
      destroyedKeys: year.destroyed,
      verifiedSegments: year.verified,
      orphanSince,
    };
    const decision = decideRetention(request);
    for (const name of decision.orphans) if (!orphanSince.has(name)) orphanSince.set(name, year.now());

    for (const name of decision.remove) assert.ok(!decision.keep.has(name), `${name} is both kept and removed`);
    const later = decideRetention({ ...request, now: new Date(year.now().getTime() + daySeconds * 1000) });
    const gone = new Set(later.remove);
    for (const name of decision.remove) assert.ok(gone.has(name), `day ${day}: a day later ${name} would stay`);

    for (const name of decision.remove) year.remove(name);
    removed += decision.remove.length;
    const after = year.catalogue();
    for (const { backupId, state } of after.clusters.get(clusterId)!.backups)
      assert.notEqual(state, 'incomplete', `day ${day}: objects of ${backupId} went`);
    const again = decideRetention({ ...request, catalogue: after });
    assert.deepEqual(again.remove, [], `day ${day}: a second look`);
    for (const [name, reasons] of decision.keep) {
      assert.ok(reasons.length > 0 && reasons.every((reason) => reason.length > 3));
      if (/^(wal|segments|base)\//.test(name))
        assert.ok(
          year.trueAgeDays(name) <= policy.days + slackDays,
          `day ${day}: ${name} stays: ${reasons} ${year.trueAgeDays(name)}`,
        );
    }
    checked += compareMoments(year, before, after, decision.horizon, day);
  }
  return { checked, removed, ...year.counts() };
}

/** Everything that was restorable within retention still is. @returns how many moments were */
function compareMoments(
  { random, now, destroyed, tenants }: ReturnType<typeof createYear>,
  before: Catalogue,
  after: Catalogue,
  horizon: Date,
  day: number,
): number {
  let restorable = 0;
  const span = now().getTime() - horizon.getTime();
  const moments = [
    horizon.getTime(),
    horizon.getTime() + random() * daySeconds * 5_000,
    horizon.getTime() + random() * span,
  ];
  for (const moment of moments) {
    const time = new Date(Math.floor(moment));
    const tenant = tenants[Math.floor(random() * tenants.length)]!;
    for (const wanted of [{ kind: 'cluster' }, { kind: 'tenant', tenantId: tenant.id as never }] as readonly Wanted[]) {
      const plan = (catalogue: Catalogue) =>
        planRestore({
          catalogue,
          clusterId,
          target: { kind: 'time', time },
          wanted,
          now: now(),
          destroyedKeys: destroyed,
        });
      const [was, is] = [plan(before), plan(after)];
      if (was.outcome !== 'plan') continue;
      restorable++;
      assert.equal(
        is.outcome,
        'plan',
        `day ${day}: ${time.toISOString()} was restorable from ${was.plan.backup.backupId}`,
      );
      if (is.outcome === 'plan') assert.ok(is.plan.isSuspect <= was.plan.isSuspect);
    }
  }
  return restorable;
}

for (const times of ['all', 'some', 'none'] as const)
  test(`a year of daily retention, commit times in headers: ${times}`, (context) => {
    const seed = Number(process.hrtime.bigint() % 4_294_967_295n);
    context.diagnostic(`seed ${seed}`);
    const figures = runYear({ seed, times }, 420);
    context.diagnostic(JSON.stringify(figures));
    assert.ok(figures.checked > 50 && figures.removed > 500, JSON.stringify(figures));
  });
