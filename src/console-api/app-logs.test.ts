import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHttpApp } from '#src/http/index.ts';
import { newId, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import type { LogQuery } from '#src/processes/types.ts';
import { staffErrors } from '#src/staff/index.ts';
import { type AppLogDeps, appLogRoutes } from './app-logs.ts';

const acme = newId('ten');
const globex = newId('ten');

test('the log of an app is read by whoever has opened it, which asks who they are and is recorded; by nobody else, and of no other tenant', async () => {
  const recorded: object[] = [];
  const asked: [TenantId, LogQuery][] = [];
  let nowMs = 0;
  const app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  await app.register(
    appLogRoutes({
      processes: {
        list: async () => [
          {
            tenantId: acme,
            state: 'failed',
            version: '1.0.0',
            idleMs: 5,
            upMs: undefined,
            failures: 2,
            memoryBytes: 2 ** 29,
            error: 'it ended with exit code 7\n2026-01-01 mail of ada@example.com',
          },
        ],
        readLog: async (tenantId, query) => {
          asked.push([tenantId, query]);
          return { lines: [`of ${tenantId}`], cursor: '7-8:9', hasGap: false };
        },
      },
      findTenantApp: async (tenantId) => (tenantId === acme ? { version: '1.0.0' } : undefined),
      getTenant: (async (id: string) => ({
        tenantId: id === 'acme' ? acme : id,
        app: 'wiki',
      })) as AppLogDeps['getTenant'],
      recordAudit: async (event) => void recorded.push(event),
      actorOf: ({ headers }) => `staff:${headers['x-staff']}`,
      requireStepUp: async ({ headers }) => {
        if (headers['x-confirmed'] === undefined) throw staffErrors.FH_STEP_UP_REQUIRED();
      },
      clock: { ...systemClock, monotonicMs: () => nowMs },
    }),
  );
  const open = async (tenant: string, headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: `/api/tenants/${tenant}/app-log/open`, headers, payload: { lines: 5 } });
  const follow = async (tenant: string, staff: string, after = '7-8:9') =>
    app.inject({ url: `/api/tenants/${tenant}/app-log?after=${after}`, headers: { 'x-staff': staff } });

  assert.equal((await open(acme, { 'x-staff': 'stf_a' })).json().code, 'FH_STEP_UP_REQUIRED');
  assert.equal((await follow(acme, 'stf_a')).json().code, 'FH_APP_LOG_NOT_OPEN');
  assert.deepEqual([recorded, asked], [[], []]);

  const opened = await open('acme', { 'x-staff': 'stf_a', 'x-confirmed': '1' });
  assert.deepEqual(opened.json().lines, [`of ${acme}`]);
  assert.equal(opened.headers['cache-control'], 'no-store');
  assert.deepEqual(recorded, [{ name: 'app.log_read', actor: 'staff:stf_a', subject: acme, tenantId: acme }]);
  assert.deepEqual(asked, [[acme, { last: 5 }]]);

  const followed = await follow(acme, 'stf_a');
  assert.equal(followed.statusCode, 200);
  assert.equal(followed.headers['cache-control'], 'no-store');
  assert.deepEqual(asked.at(-1), [acme, { after: '7-8:9' }]);
  assert.equal((await follow(acme, 'stf_b')).json().code, 'FH_APP_LOG_NOT_OPEN', 'another member');
  assert.equal((await follow(globex, 'stf_a')).json().code, 'FH_APP_LOG_NOT_OPEN', 'another tenant');
  assert.equal((await follow(acme, 'stf_a', '../../x')).statusCode, 400);
  nowMs += 119_000;
  assert.equal((await follow(acme, 'stf_a')).statusCode, 200);
  nowMs += 121_000;
  assert.equal((await follow(acme, 'stf_a')).json().code, 'FH_APP_LOG_NOT_OPEN', 'closed for a while');
  assert.equal(recorded.length, 1);

  const state = await app.inject({ url: `/api/tenants/${acme}/app` });
  assert.deepEqual(
    [state.json().state, state.json().reason, state.json().isProcess],
    ['failed', 'it ended with exit code 7', true],
  );
  assert.ok(!state.body.includes('ada@example.com'), 'how it is says nothing of what it wrote');
  assert.equal((await app.inject({ url: `/api/tenants/${globex}/app` })).json().isProcess, false);
  await app.close();
});
