import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Cancellation, newId, silentLog, type TenantId } from '#src/kernel/index.ts';
import { createRpcServer, type RpcPeer } from '#src/rpc/index.ts';
import { createAppProcesses } from './gateway-link.ts';
import type { AppLinkProtocol, Entrance } from './types.ts';

const tenantId = newId('ten');
const otherId = newId('ten');
const never = new Cancellation();

/** A keeper that answers as it is told. */
async function start(t: TestContext, options: { readonly wakeMs?: number } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-apps-'));
  const socketPath = join(folder, 'link.sock');
  const entered: TenantId[] = [];
  const used: TenantId[][] = [];
  const peers: RpcPeer<AppLinkProtocol['client']>[] = [];
  const waiting: (() => void)[] = [];
  let answer: (tenantId: TenantId, peer: RpcPeer<AppLinkProtocol['client']>) => Promise<Entrance> = async (id) => ({
    instanceId: `${id} ${entered.length}`,
    socketPath: '/app',
  });
  const keeper = createRpcServer<AppLinkProtocol>({
    socketPath,
    mode: 0o600,
    handlers: {
      enter: (params, peer) => {
        entered.push(params.tenantId);
        return answer(params.tenantId, peer);
      },
      used: ({ tenantIds }) => {
        used.push([...tenantIds]);
        for (const wake of waiting.splice(0)) wake();
        return null;
      },
    },
    onPeer: (peer) => peers.push(peer),
    log: silentLog,
  });
  await keeper.start();
  const processes = createAppProcesses({ socketPath, log: silentLog, tellUseEveryMs: 20, ...options });
  t.after(async () => {
    await processes.stop();
    await keeper.stop();
    await rm(folder, { recursive: true });
  });
  return {
    processes,
    entered,
    used,
    peers,
    keepAnswering: (by: typeof answer) => {
      answer = by;
    },
    nextUse: () => new Promise<void>((resolve) => waiting.push(resolve)),
    letGo: (instanceId: string) => peers.at(-1)!.call('letGo', { tenantId, instanceId }),
  };
}

test('many requests share one enter; it is remembered per tenant until the instance is let go of or has ended', async (t) => {
  const { processes, entered, letGo, peers } = await start(t);
  const visits = await Promise.all(Array.from({ length: 20 }, () => processes.visit(tenantId, never)));
  const other = await processes.visit(otherId, never);
  assert.deepEqual(entered, [tenantId, otherId]);
  assert.notEqual(other.instanceId, visits[0]!.instanceId);
  assert.equal(processes.isAwake(tenantId), true);
  const { instanceId } = visits[0]!;
  for (const visit of visits) {
    assert.equal(await letGo(instanceId), false, 'somebody is there');
    visit.leave();
    visit.leave();
  }
  assert.equal(await letGo(instanceId), true);
  assert.equal(processes.isAwake(tenantId), false);
  assert.equal(processes.isAwake(otherId), true);

  const again = await processes.visit(tenantId, never);
  again.leave();
  await peers[0]!.call('ended', { tenantId, instanceId: 'another' });
  assert.equal(processes.isAwake(tenantId), true);
  await peers[0]!.call('ended', { tenantId, instanceId: again.instanceId });
  assert.equal(processes.isAwake(tenantId), false);
  processes.forget(otherId, other.instanceId);
  assert.equal(processes.isAwake(otherId), false);
});

test('who waits for requests to end does not wait for streams, which keep the app awake all the same', async (t) => {
  const { processes, letGo, peers } = await start(t);
  const [stream, request] = [await processes.visit(tenantId, never), await processes.visit(tenantId, never)];
  const { instanceId } = stream;
  const isLeft = () => peers[0]!.call('isLeft', { instanceId });
  stream.becomeStream();
  stream.becomeStream();
  assert.equal(await isLeft(), false);
  request.leave();
  request.becomeStream();
  assert.equal(await isLeft(), true);
  assert.equal(await letGo(instanceId), false);
  stream.leave();
  assert.equal(await isLeft(), true);
  assert.equal(await letGo(instanceId), true);
});

test('who is told to let go while an enter is on its way refuses; an instance that ended meanwhile is entered anew', async (t) => {
  const { processes, entered, keepAnswering } = await start(t);
  let isLetGo: boolean | undefined;
  keepAnswering(async (id, peer) => {
    const instanceId = `i${entered.length}`;
    if (entered.length === 1) {
      isLetGo = await peer.call('letGo', { tenantId: id, instanceId });
      peer.notify('ended', { tenantId: id, instanceId });
    }
    return { instanceId, socketPath: '/app' };
  });
  const visit = await processes.visit(tenantId, never);
  assert.deepEqual([isLetGo, visit.instanceId, entered.length], [false, 'i2', 2]);
});

test('what was entered is forgotten with the link, but a visit goes on to count', async (t) => {
  const { processes, peers, letGo } = await start(t);
  const visit = await processes.visit(tenantId, never);
  peers[0]!.close();
  while (processes.isAwake(tenantId)) await new Promise((resolve) => setImmediate(resolve));
  const another = await processes.visit(tenantId, never);
  assert.notEqual(another.instanceId, visit.instanceId);
  assert.equal(await letGo(visit.instanceId), false);
  visit.leave();
  assert.equal(await letGo(visit.instanceId), true);
  assert.equal(await letGo(another.instanceId), false);
});

test('use is told for who was used, and for who is there all the time', async (t) => {
  const { processes, used, nextUse } = await start(t);
  const visit = await processes.visit(tenantId, never);
  (await processes.visit(otherId, never)).leave();
  await nextUse();
  assert.deepEqual(new Set(used[0]), new Set([tenantId, otherId]));
  await nextUse();
  assert.deepEqual(used[1], [tenantId]);
  visit.leave();
});

test('waiting ends with its request, with its time, and with what the keeper says', async (t) => {
  const { processes, keepAnswering, entered } = await start(t, { wakeMs: 50 });
  keepAnswering(() => new Promise(() => {}));
  const gone = new Cancellation();
  const left = processes.visit(tenantId, gone);
  const stayed = processes.visit(tenantId, never);
  gone.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  await assert.rejects(stayed, { code: 'FH_RPC_TIMEOUT' });
  assert.equal(entered.length, 1);
  keepAnswering(async () => ({ instanceId: 'x', socketPath: 'relative' }));
  await assert.rejects(processes.visit(tenantId, never), { code: 'FH_INTERNAL' });
});
