/**
 * Runs one lifecycle operation in a process of its own, which a failpoint kills. Argument: JSON of `ChildOrder`.
 * Ends with 0 when the operation came to its end, whatever that was.
 */
import { armFailpoints } from '#src/kernel/index.ts';
import { openTestInstallation, type TestInstallationOptions } from './installation.ts';

export interface ChildOrder {
  readonly installation: Pick<TestInstallationOptions, 'control' | 'folder'>;
  readonly failpoints: string;
  readonly kind: string;
  readonly tenantId: string | undefined;
  readonly input: object;
}

const order = JSON.parse(process.argv[2]!) as ChildOrder;
const world = await openTestInstallation(order.installation);
armFailpoints(order.failpoints);
const operation = await world.lifecycle.startOperation(
  order.kind as never,
  order.tenantId as never,
  order.input as never,
  'os:child',
);
const ended = await world.lifecycle.waitForOperation(operation.operationId);
process.stderr.write(`not killed: ${JSON.stringify(ended)}\n`);
await world.stop();
