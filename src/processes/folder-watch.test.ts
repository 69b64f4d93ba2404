import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.stop());

const stateOf = (tenantId: string) => world.keeper.list().find((app) => app.tenantId === tenantId)?.state;

test('an app that outgrows its folder is ended with the reason, and stays so until there is room; others go on', async () => {
  const limits = { folderBytes: 8 * 2 ** 20 };
  const [greedy, modest] = [world.tenant({ limits }), world.tenant({ limits })];
  const { instanceId } = await world.keeper.enter(modest);
  await world.shell(modest, 'head -c 4000000 /dev/zero > /data/a');
  // No file may be larger than the folder; several together may, until somebody looks.
  const { code } = await world.shell(
    greedy,
    'for i in 1 2 3; do head -c 4000000 /dev/zero > /data/$i; done; ln -s / /data/all',
  );
  assert.equal(code, 0);
  await world.keeper.watchFolders();
  assert.equal(stateOf(greedy), 'failed');
  const { lines } = await world.keeper.readLog(greedy, { last: 5 });
  assert.match(lines.join('\n'), /the app is gone: its folder has 12 MiB and may have 8 MiB \(limits\.folderMb\)/);
  await assert.rejects(world.keeper.enter(greedy), { code: 'FH_APP_FAILED' });
  await waitFor('another try', async () => {
    const error = await world.keeper.enter(greedy).catch((refusal) => refusal as { detail: string });
    return 'detail' in error && error.detail.startsWith('its folder has 12 MiB');
  });
  assert.equal((await world.keeper.enter(modest)).instanceId, instanceId);
  await world.keeper.watchFolders();
  assert.equal(stateOf(modest), 'awake');

  const spec = world.specs.get(greedy)!;
  world.specs.set(greedy, { ...spec, limits: { ...spec.limits, folderBytes: 2 ** 30 } });
  await waitFor('it to be awake', () =>
    world.keeper.enter(greedy).then(
      () => true,
      () => false,
    ),
  );
  assert.equal((await world.shell(greedy, 'cat /data/1 | wc -c')).stdout, '4000000\n');
});
