/**
 * Begins a release in a process of its own, which a failpoint kills. Argument: JSON of `ReleaseOrder`. Ends with 0 when the release came to its end.
 */
import { armFailpoints, waitFor } from '#src/kernel/index.ts';
import { openTestInstallation, type TestInstallationOptions } from './installation.ts';
import { openTestRollouts } from './rollouts.ts';

export interface ReleaseOrder {
  readonly installation: Pick<TestInstallationOptions, 'control' | 'folder'>;
  readonly failpoints: string;
  readonly version: string;
  readonly isRehearsed: boolean;
}

const { installation, failpoints, version, isRehearsed } = JSON.parse(process.argv[2]!) as ReleaseOrder;
const world = await openTestInstallation(installation);
const rollouts = openTestRollouts(world);
armFailpoints(failpoints);
await rollouts.start('sample', version, { soakSeconds: 0, isRehearsed }, 'os:child');
await waitFor('the release has ended', async () =>
  ['done', 'returned'].includes((await rollouts.latest('sample')).state),
);
process.stderr.write('not killed\n');
await rollouts.stop();
await world.stop();
