import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import { openRegion } from '#src/objects/index.ts';
import { type SwiftServer, startSwift } from '../../../test/support/swift.ts';
import { clusterId } from '../catalogue/catalogue.fixture.ts';
import { dataName, daySeconds, manifestOfDay, owners, startRetentionWorld } from './retention-world.fixture.ts';
import { runRetention } from './run.ts';

let swift: SwiftServer;
let world: Awaited<ReturnType<typeof startRetentionWorld>>;
before(async () => {
  [swift, world] = await Promise.all([startSwift({ conditionalPut: true }), startRetentionWorld()]);
});
after(async () => {
  await swift?.stop();
  await world?.stop();
});

test('a region in S3: its times are as good as those of a disk, and what goes is gone', async () => {
  const { region: disk } = await world.openRegion();
  const { endpoint, location, accessKeyId, secretAccessKey } = swift;
  const address = `s3://${await swift.createBucket()}/freehold?${new URLSearchParams({ endpoint, region: location })}`;
  const store = await openRegion(address, {
    region: 'north',
    credentials: { accessKeyId, secretAccessKey },
    initialise: true,
  });
  const planted = await Array.fromAsync(disk.list(''));
  const some = planted.filter(({ name }) => /bak_d[789]|\/0{15}[789]$/.test(name));
  await Promise.all(some.map(async ({ name }) => store.put(name, (await disk.get(name))!)));
  // The service says that all of it was stored just now; so did the clock of the server, days before.
  const inDays = (days: number) => {
    const now = systemClock.now() + days * daySeconds * 1000;
    return { now: () => now, monotonicMs: () => 0 };
  };
  const options = (days: number) => world.options(store, { clock: inDays(days) });
  await world.db.query('UPDATE regions SET set_up_at = $1', [new Date(inDays(60).now())]);
  const names = async () => (await Array.fromAsync(store.list(''))).map(({ name }) => name);
  const all = await names();

  const young = await runRetention(options(4));
  assert.deepEqual([young.removedObjects, young.removedUnfinished, await names()], [0, 0, all]);
  const [one, other] = await Promise.all([runRetention(options(20)), runRetention(options(20))]);
  assert.deepEqual([one.spared, other.spared], [[], []], 'the two ways of asking for a time agree');
  assert.deepEqual(await names(), [
    manifestOfDay(9),
    manifestOfDay(9).replace('manifest', 'shared'),
    ...owners.map((owner) => dataName(owner, 9)),
    `segments/${clusterId}/00000001/0000000000000009`,
  ]);
});
