/** A control that changes plugins and is killed in the midst: `node child.ts ORDER`. */
import { readdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recordAudit } from '#src/audit/index.ts';
import { armFailpoints, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import {
  createPluginRegistry,
  createPluginRuns,
  createPluginSchedule,
  type PluginEnd,
  type PluginRegistry,
} from '#src/plugins/index.ts';
import { openTestInstallation, type TestInstallation, type TestInstallationOptions } from '../support/installation.ts';

export interface PluginChildOrder {
  readonly installation: Pick<TestInstallationOptions, 'control' | 'folder'>;
  readonly failpoint: string;
  readonly tenantId: TenantId;
  readonly act: 'add' | 'remove' | 'events';
  /** Base64. */
  readonly content: string;
}

/** Packages as empty folders; runs that succeed at once and note what they were given. */
export function openTestPlugins(installation: TestInstallation, folder: string) {
  const packages = join(folder, 'packages');
  const handed: string[] = [];
  const transact: Parameters<typeof createPluginRuns>[0]['transact'] = (tenantId, work) =>
    installation.databases.platform.transact(tenantId, work);
  const shared = { db: installation.pool, transact, recordAudit, clock: systemClock, log: silentLog };
  const registry: PluginRegistry = createPluginRegistry({
    ...shared,
    store: {
      has: async (digest) => readdirSync(folder).includes('packages') && readdirSync(packages).includes(digest),
      async layOut(digest) {
        await mkdir(join(packages, digest), { recursive: true });
      },
      remove: (digest) => rm(join(packages, digest), { recursive: true }),
    },
    removeLog: async () => {},
    endRuns: (tenantId, name, reason) => runs.end(tenantId, name, reason),
  });
  const runs = createPluginRuns({
    ...shared,
    registry,
    keeper: {
      async run({ input }): Promise<PluginEnd> {
        for (const { subject } of input.events ?? []) {
          handed.push(subject);
          await writeFile(join(folder, 'handed'), `${subject}\n`, { flag: 'a' });
        }
        return { outcome: 'succeeded', reason: undefined, durationMs: 1, result: undefined };
      },
      end: async () => {},
    },
    getTenant: (idOrName) => installation.lifecycle.getTenant(idOrName),
    tenantUrl: (name) => `https://${name}.localhost`,
    tokens: { issue: () => Promise.reject(new Error('none')), revoke: async () => {} },
  });
  const schedule = createPluginSchedule({ ...shared, runs, registry });
  return { registry, schedule, handed, packages };
}

if (process.argv[1] === import.meta.filename) {
  const order: PluginChildOrder = JSON.parse(process.argv[2]!);
  const installation = await openTestInstallation(order.installation);
  const { registry, schedule } = openTestPlugins(installation, order.installation.folder);
  const tenant = await installation.lifecycle.getTenant(order.tenantId);
  armFailpoints(`${order.failpoint}=kill`);
  if (order.act === 'add') await registry.add(tenant, Buffer.from(order.content, 'base64'), 'os:test');
  if (order.act === 'remove') await registry.remove(tenant, 'probe', { actor: 'os:test', keepState: false });
  if (order.act === 'events') await schedule.look();
  process.exit(0);
}
