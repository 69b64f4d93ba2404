/**
 * Many tenants and few database connections: the budget is never exceeded, requests wait or are told when to come back, and a noisy tenant
 * does not push a quiet one out.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Freehold } from '../acceptance/harness.ts';
import { withRegistry } from './support/leftovers.ts';
import { newName } from './support/lifecycle.ts';
import { createTenant, finish, type Installation, type Tenant } from './support/operator.ts';
import { askAsSuperuser } from './support/superuser.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const budget = 6;
const tenantCount = 8;
const appsConnections = 10;
/** What the supervisor keeps for control, dumps and a person with psql. */
const reserved = 40;
const most = budget + appsConnections + reserved;
const loadMs = isSlow ? 120_000 : 6_000;
/** Longer, so that the one quiet person is answered often enough on a slow machine. */
const noisyMs = isSlow ? 120_000 : 20_000;

let freehold: Freehold;
let at: Installation;
const tenants: Tenant[] = [];
before(async () => {
  freehold = await Freehold.start({
    env: {
      FREEHOLD_BACKENDS: String(budget),
      FREEHOLD_BACKENDS_PER_TENANT: '2',
      FREEHOLD_APPS_CONNECTIONS: String(appsConnections),
      FREEHOLD_PREPARED_DATABASES: '1',
    },
  });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  while (tenants.length < tenantCount) tenants.push(await createTenant(at, newName()));
});
after(async () => {
  for (const { client } of tenants) await client.close();
  await freehold?.stop();
});

interface Outcome {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: unknown;
  readonly tookMs: number;
}

/** Requests of one tenant, so many at the same time, until the signal. */
async function keepAsking({ client, itemId }: Tenant, atOnce: number, signal: AbortSignal): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const paths = ['/api/items?limit=50', `/api/items/${itemId}/comments`, '/api/summary', '/-/api/session'];
  const ask = async (worker: number): Promise<void> => {
    for (let number = worker; !signal.aborted; number++) {
      const startedAt = performance.now();
      const { status, json, headers } = await client.get(paths[number % paths.length]!);
      const tookMs = performance.now() - startedAt;
      outcomes.push({ status, code: json?.code, retryAfter: headers['retry-after'], tookMs });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, worker) => ask(worker)));
  return outcomes;
}

/** The largest number of connections ever seen, from the gateways and in all. */
function watchConnections(signal: AbortSignal): Promise<{ gateways: number; all: number; samples: number }> {
  return withRegistry(at, async (db) => {
    const most = { gateways: 0, all: 0, samples: 0 };
    while (!signal.aborted) {
      const [row] = await db.query<{ gateways: number; all: number }>(
        `SELECT count(*) FILTER (WHERE application_name = 'freehold gateway')::int AS gateways, count(*)::int AS all
         FROM pg_stat_activity WHERE backend_type = 'client backend'`,
      );
      most.gateways = Math.max(most.gateways, row!.gateways);
      most.all = Math.max(most.all, row!.all);
      most.samples++;
      await delay(2);
    }
    return most;
  });
}

test('all tenants at once: never more connections than the budget, every refusal says when to come back', async (context) => {
  const [max] = await askAsSuperuser(at, 'SHOW max_connections');
  assert.equal(Number(max), most);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), loadMs);
  const watching = watchConnections(over.signal);
  const [outcomes] = await Promise.all([
    Promise.all(tenants.map((tenant) => keepAsking(tenant, 12, over.signal))),
    // Control's own work goes on beside it.
    finish(at, '/api/tenants', { name: newName(), adminEmail: 'a@example.com' }),
    finish(at, `/api/tenants/${tenants[0]!.tenantId}/export`, {}),
  ]);
  clearTimeout(timer);
  const seen = await watching;
  const all = outcomes.flat();
  assert.ok(seen.gateways <= budget, `${seen.gateways} connections of gateways`);
  assert.ok(seen.gateways > 1, 'the load was none');
  assert.ok(seen.all <= most);
  const refused = all.filter(({ status }) => status !== 200);
  assert.deepEqual(
    refused.filter(({ status, retryAfter }) => status !== 503 || !(Number(retryAfter) >= 1)),
    [],
  );
  for (const own of outcomes)
    assert.ok(
      own.some(({ status }) => status === 200),
      'somebody got nothing at all',
    );
  assert.doesNotMatch(
    readFileSync(join(at.dataDir, 'pg/logs/postgresql.log'), 'utf8'),
    /too many (clients|connections)/,
  );
  context.diagnostic(
    `${all.length} requests of ${tenantCount} tenants, ${refused.length} told to come back, at most ${seen.gateways} of ${budget} connections in ${seen.samples} samples`,
  );
});

test('a noisy tenant does not push out a quiet one', async (context) => {
  const [quiet, ...noisy] = tenants as [Tenant, ...Tenant[]];
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), noisyMs);
  const watching = watchConnections(over.signal);
  const [calm, loud] = await Promise.all([
    keepAsking(quiet, 1, over.signal),
    // More at once than one tenant may have, and one more tenant of the usual kind.
    Promise.all([keepAsking(noisy[0]!, 150, over.signal), keepAsking(noisy[1]!, 4, over.signal)]),
  ]);
  clearTimeout(timer);
  assert.ok((await watching).gateways <= budget);
  assert.deepEqual(
    calm.filter(({ status }) => status !== 200),
    [],
  );
  const times = calm.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const loudTimes = loud[0]!
    .filter(({ status }) => status === 200)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b);
  const middle = (list: number[]): number => Math.round(list[Math.floor(list.length / 2)] ?? 0);
  assert.ok(times.length > 5, `${times.length} requests of the quiet tenant`);
  assert.ok(middle(times) <= middle(loudTimes), 'the quiet tenant waits longer than the noisy one');
  const told = loud[0]!.filter(({ status }) => status !== 200);
  assert.deepEqual(
    told.filter(({ status, retryAfter }) => ![429, 503].includes(status) || !(Number(retryAfter) >= 1)),
    [],
  );
  context.diagnostic(
    `quiet: ${times.length} requests, half of them within ${middle(times)} ms, all within ${Math.round(times.at(-1)!)} ms; noisy: half within ${middle(loudTimes)} ms, ${told.length} told to come back`,
  );
});
