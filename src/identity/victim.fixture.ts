/** The process that `victims.fixture.ts` starts: does what one message orders, and says how it ended if it lives. */
import { armFailpoints, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { createOutgoing } from '#src/outgoing/index.ts';
import { createIdentity } from './identity.ts';
import { createProvider } from './provider/index.ts';
import { createSamlEngine } from './saml/index.ts';
import { openTestDatabases } from './test-databases.fixture.ts';
import type { Acts, Order } from './victims.fixture.ts';

process.once('message', async ({ accesses, provider, failpoint, method, args }: Order) => {
  const outgoing = createOutgoing({
    allow: provider ? [new URL(provider.issuer).host] : [],
    ...(provider && { ca: provider.ca }),
    log: silentLog,
    resolve: async () => ['127.0.0.1'],
  });
  const databases = openTestDatabases(accesses);
  // The channel makes plain arrays of bytes of buffers.
  const factorsKeyOf = (tenantId: TenantId) => Buffer.from(accesses.get(tenantId)!.factorsKey);
  const identity = createIdentity({
    databases,
    queueMail: async () => {},
    cookieKeyOf: (tenantId) => Buffer.from(accesses.get(tenantId)!.cookieKey),
    factorsKeyOf,
    signOn: {
      outgoing,
      resolveTxt: async () => [],
      saml: createSamlEngine({ clock: systemClock, log: silentLog }),
    },
    log: silentLog,
  });
  armFailpoints(`${failpoint}=kill`);
  const acts: Acts = { ...identity, ...createProvider({ databases, factorsKeyOf, clock: systemClock }) };
  const act = acts[method] as (...args: readonly unknown[]) => Promise<unknown>;
  const said = await act(...args).then(
    (value) => `done: ${JSON.stringify(value)}`,
    (error) => `failed: ${error.stack ?? error}`,
  );
  process.send!(said, () => process.exit(1));
});
// Whoever waits for the end of this one is gone, or has failed.
process.once('disconnect', () => process.exit(1));
process.send!('ready');
