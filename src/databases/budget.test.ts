import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { newId, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createTestTenants, type TestTenant, type TestTenants } from '../../test/support/tenant.ts';
import { createLeasePool } from './lease-pool.ts';
import type { TenantRole } from './places.ts';

/** A connection whose opening and closing are steps that the test takes in any order; everything about budgets without a server. */
function createSteps() {
  const pending: (() => void)[] = [];
  let open = 0;
  let most = 0;
  const step = <T>(result: () => T): Promise<T> =>
    new Promise((resolve, reject) =>
      pending.push(() => {
        try {
          resolve(result());
        } catch (error) {
          reject(error);
        }
      }),
    );
  return {
    most: () => most,
    pending: () => pending.length,
    take: (index: number) => pending.splice(index % pending.length, 1)[0]?.(),
    open(fails: boolean): Promise<Connection> {
      open++;
      most = Math.max(most, open);
      const connection = {
        onEnd: () => {},
        close: () =>
          step(() => {
            open--;
            return 'clean';
          }),
      } as unknown as Connection;
      return step(() => {
        if (fails) {
          open--;
          throw new Error('not today');
        }
        return connection;
      });
    },
  };
}

type Action =
  | { kind: 'acquire'; tenant: number; role: TenantRole; fails: boolean }
  | { kind: 'release'; at: number; reusable: boolean }
  | { kind: 'step'; at: number }
  | { kind: 'evict'; tenant: number }
  | { kind: 'retire' };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('acquire' as const),
      tenant: fc.nat(4),
      role: fc.constantFrom<TenantRole>('app', 'platform'),
      fails: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('release' as const), at: fc.nat(20), reusable: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('step' as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('evict' as const), tenant: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retire' as const) }) },
);

test('in every order of events: the budget holds, everybody is answered, nothing is left', async (context) => {
  const seed = Number(process.env.FREEHOLD_TEST_SEED ?? Math.trunc(performance.timeOrigin));
  context.diagnostic(`seed ${seed}`);
  const ids: TenantId[] = Array.from({ length: 5 }, () => newId('ten'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      async (actions, budget, perTenantMax) => {
        const steps = createSteps();
        const failing: boolean[] = [];
        const pool = createLeasePool({
          budget,
          perTenantMax,
          waitTimeoutMs: 60_000,
          idleTimeoutMs: 60_000,
          clock: systemClock,
          log: silentLog,
          open: async () => ({ connection: await steps.open(failing.shift() ?? false), beforeCommit: [] }),
        });
        const held: Awaited<ReturnType<typeof pool.acquire>>[] = [];
        const evicted = new Set<unknown>();
        let answered = 0;
        let asked = 0;
        const perform = (next: Action) => {
          if (next.kind === 'acquire') {
            asked++;
            failing.push(next.fails);
            pool.acquire(ids[next.tenant]!, next.role, undefined).then(
              (place) => {
                answered++;
                assert.deepEqual([place.tenantId, place.role], [ids[next.tenant], next.role]);
                assert.ok(!held.includes(place), 'a place has one holder');
                held.push(place);
              },
              () => answered++,
            );
          } else if (next.kind === 'release' && held.length > 0) {
            pool.release(held.splice(next.at % held.length, 1)[0]!, next.reusable);
          } else if (next.kind === 'step' && steps.pending() > 0) {
            steps.take(next.at);
          } else if (next.kind === 'evict') {
            for (const place of held) if (place.tenantId === ids[next.tenant]) evicted.add(place);
            void pool.evict(ids[next.tenant]!);
          } else if (next.kind === 'retire') void pool.retireAll();
        };
        for (const next of actions) {
          perform(next);
          await tick();
          assert.ok(pool.stats().open <= budget);
          for (const id of ids) {
            const current = held.filter((place) => place.tenantId === id && !evicted.has(place));
            assert.ok(current.length <= perTenantMax, 'a tenant stays within its share');
          }
        }
        for (let round = 0; (answered < asked || held.length > 0 || steps.pending() > 0) && round < 2_000; round++) {
          perform(round % 2 ? { kind: 'step', at: 0 } : { kind: 'release', at: 0, reusable: true });
          await tick();
        }
        assert.equal(answered, asked);
        const stopped = pool.stop();
        for (let round = 0; steps.pending() > 0 || round < 3; round++) {
          if (steps.pending() > 0) steps.take(0);
          await tick();
        }
        await stopped;
        assert.deepEqual(pool.stats(), { open: 0, leased: 0, waiting: 0, budget });
        assert.ok(steps.most() <= budget, `${steps.most()} open at once, budget ${budget}`);
      },
    ),
    { seed, numRuns: 300 },
  );
});

let cluster: TestCluster;
let tenants: TestTenants;
let watcher: Connection;
before(async () => {
  cluster = await startTestCluster();
  tenants = createTestTenants(cluster);
  watcher = await openConnection(cluster.superuser, { applicationName: 'watcher' });
});
after(async () => {
  await watcher.close();
  await tenants.stop();
  await cluster.stop();
});

test('the server itself never counts more sessions than the budget, under a mixed load', async () => {
  const made: TestTenant[] = [];
  for (let index = 0; index < 6; index++) made.push(await tenants.createTestTenant(`tenant-${index}`));
  const budget = 4;
  const applicationName = 'freehold budget test';
  const databases = tenants.createDatabases({ budget, perTenantMax: 3, waitTimeoutMs: 20_000, applicationName });
  let most = 0;
  let running = true;
  const watching = (async () => {
    while (running) {
      const [row] = await watcher.query<{ n: number }>(
        'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1',
        [applicationName],
      );
      most = Math.max(most, row!.n);
    }
  })();
  const outcomes = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const tenant = made[(index * index) % made.length]!;
      const role = index % 5 === 0 ? databases.platform : databases.app;
      const abort = new AbortController();
      const work = role[index % 3 === 0 ? 'transact' : 'read'](
        tenant.tenantId,
        async (db) => {
          if (index % 11 === 0) setTimeout(() => abort.abort(), 5);
          if (index % 13 === 0) await db.query('SELECT 1/0').catch(() => {});
          if (index % 11 === 0) await db.query('SELECT pg_sleep(5)');
          return db.query<{ database: string }>('SELECT current_database() AS database');
        },
        { signal: abort.signal },
      );
      return work.then(
        (rows) => (rows[0]?.database === tenant.databaseName ? 'right' : 'WRONG'),
        (error) => error.code,
      );
    }),
  );
  running = false;
  await watching;
  assert.ok(most <= budget && most >= 2, `${most} sessions, budget ${budget}`);
  assert.deepEqual([...new Set(outcomes)].sort(), ['25P02', 'FH_DB_CANCELLED', 'right']);
  assert.equal(databases.stats().leased, 0);
  assert.equal(databases.stats().waiting, 0);
});
