/**
 * Custom plugins, as the keeper and control see them: what a plugin asks for and does not declare, and whose it gets. What its code can do to the machine is in
 * test/plugins/escapes.test.ts.
 */
import { newId, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import {
  commandOf,
  createCalls,
  createPluginRuns,
  type Plugin,
  type PluginOrder,
  type PluginRunsDeps,
} from '#src/plugins/index.ts';
import type { Report } from '../report.ts';

export async function probePlugins(report: Report): Promise<void> {
  await probeCalls(report);
  probeCommand(report);
  await probeRuns(report);
}

/** What is not declared does not reach a port. */
async function probeCalls(report: Report): Promise<void> {
  const reached: string[] = [];
  const calls = createCalls(
    { api: { access: 'read', token: 't' }, outgoing: ['good.example'] },
    {
      api: async ({ method, path }) => {
        reached.push(`${method} ${path}`);
        return { status: 200, headers: {}, body: '' };
      },
      fetch: async (url) => {
        reached.push(url);
        return new Response('');
      },
      state: async () => null,
    },
  );
  const tries: [string, Record<string, string>][] = [
    ['fetch', { url: 'https://brick.example/' }],
    ['fetch', { url: 'https://good.example:8443/' }],
    ['fetch', { url: 'https://good.example@brick.example/' }],
    ['api', { method: 'POST', path: '/api/items' }],
    ['api', { method: 'GET', path: '/-/api/users' }],
    ['api', { method: 'GET', path: '//brick.example/' }],
  ];
  for (const [method, params] of tries) await calls(method, params).catch(() => undefined);
  report.check('a plugin reaches nothing that it does not declare', reached.length === 0, reached.join('\n'));
}

function probeCommand(report: Report): void {
  const words = commandOf({ entry: 'main.mjs', memoryBytes: 2 ** 27 });
  const opened = words.filter((word) => /^--allow-(?!fs-read=(?:\/app|\/freehold\/runner\.mts)$)/.test(word));
  report.check('a plugin runs under the permission model', words.includes('--permission'));
  report.check('and is allowed nothing but its own code', opened.length === 0, opened.join());
}

/** Two tenants with the same plugin, one of which loses its edition. */
async function probeRuns(report: Report): Promise<void> {
  const [one, two] = [newId('ten'), newId('ten')];
  let edition = 'private-cloud';
  const asked: { tenantId: TenantId; plugin: unknown }[] = [];
  const underWay = new Map<TenantId, { order: PluginOrder; end: () => void }>();
  const runs = createPluginRuns({
    db: { query: async () => [] },
    registry: { get: async (tenantId: TenantId) => pluginOf(tenantId), ensureLaidOut: async () => undefined },
    keeper: {
      run: (order: PluginOrder) =>
        new Promise((resolve) => {
          const end = () => resolve({ outcome: 'succeeded', reason: undefined, durationMs: 1, result: undefined });
          underWay.set(order.tenantId, { order, end });
        }),
      end: async () => undefined,
    },
    getTenant: async (tenantId: TenantId) => ({ tenantId, name: 'quartz', edition, state: 'active' }),
    transact: (tenantId: TenantId, work: (db: object) => Promise<unknown>) =>
      work({
        query: async (_text: string, [plugin]: unknown[] = []) => {
          asked.push({ tenantId, plugin });
          return [];
        },
      }),
    tenantUrl: () => 'https://quartz.example',
    tokens: { issue: async () => ({ token: 't', tokenId: 'tok' }), revoke: async () => undefined },
    recordAudit: async () => undefined,
    clock: systemClock,
    log: silentLog,
  } as unknown as PluginRunsDeps);
  const begin = async (tenantId: TenantId) => {
    const running = runs.run(pluginOf(tenantId), { trigger: 'manual' });
    running.catch(() => undefined);
    while (!underWay.has(tenantId)) await new Promise((resolve) => setImmediate(resolve));
    return running;
  };
  const running = [begin(one), begin(two)];
  while (underWay.size < 2) await new Promise((resolve) => setImmediate(resolve));
  const get = (runId: string) =>
    runs.state(runId, { kind: 'get', key: 'k' }).then(
      () => true,
      () => false,
    );
  for (const tenantId of [one, two]) {
    asked.length = 0;
    await get(underWay.get(tenantId)!.order.runId);
    const isOwn = asked.length === 1 && asked[0]!.tenantId === tenantId && asked[0]!.plugin === 'probe';
    report.check('what a plugin keeps is kept in its own tenant', isOwn, JSON.stringify(asked));
  }
  report.check('a run that is not there is answered nothing', !(await get(newId('run'))));
  const ending = runs.end(one, 'probe', 'it was disabled');
  report.check('a run that is being ended is answered nothing', !(await get(underWay.get(one)!.order.runId)));
  for (const { end } of underWay.values()) end();
  await Promise.all([ending, ...running]);
  underWay.clear();
  edition = 'standard';
  const refused = runs.run(pluginOf(one), { trigger: 'manual' }).then(
    () => false,
    ({ code }) => code === 'FH_PLUGIN_EDITION',
  );
  const outcome = await Promise.race([refused, isBegun(underWay)]);
  report.check('in the Standard edition no plugin runs', outcome, 'it was handed to the keeper');
  for (const { end } of underWay.values()) end();
  await refused;
}

/** false: as soon as a run was handed over. */
async function isBegun(underWay: ReadonlyMap<unknown, unknown>): Promise<boolean> {
  for (let turn = 0; turn < 200 && underWay.size === 0; turn++) await new Promise((resolve) => setImmediate(resolve));
  return underWay.size === 0;
}

function pluginOf(tenantId: TenantId): Plugin {
  return {
    tenantId,
    name: 'probe',
    version: '1',
    digest: '0'.repeat(64),
    manifest: {
      name: 'probe',
      version: '1',
      title: 'probe',
      entry: 'main.mjs',
      capabilities: { api: undefined, events: [], schedule: undefined, outgoing: [] },
      limits: { memoryMb: 64, timeoutSeconds: 1 },
    },
    place: 0,
    userId: newId('usr'),
    state: 'enabled',
    addedAt: new Date(0),
    addedBy: 'os:test',
    nextRunAt: undefined,
    failures: 0,
    last: undefined,
  };
}
