/** Adds a version in a process of its own, which a failpoint kills. ORDER in the environment is JSON. */
import { recordAudit } from '#src/audit/index.ts';
import { armFailpoints, silentLog, systemClock } from '#src/kernel/index.ts';
import { createPool } from '#src/postgres/index.ts';
import { checkFolder, createAppRegistry, packFolder } from './index.ts';

const { control, incomingFolder, source, point } = JSON.parse(process.env.ORDER!);
const registry = createAppRegistry({
  db: createPool(control, { max: 2, applicationName: 'test' }),
  incomingFolder,
  ownApps: [],
  installer: { install: async () => {}, remove: async () => {} },
  recordAudit,
  clock: systemClock,
  log: silentLog,
});
armFailpoints(`${point}=kill`);
const { entries } = await checkFolder(source);
await registry.add(packFolder(source, entries), { notes: '', actor: 'os:test' });
await registry.settled();
process.exit(1);
