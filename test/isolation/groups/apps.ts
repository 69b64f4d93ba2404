/**
 * Apps that run as processes: two tenants' apps beside each other, in real sandboxes. What an app in one can do to the machine is in src/processes/escape.test.ts;
 * here it is whose data, log, user and entrance each has, and what a client can make it believe.
 */
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { requestHeaders } from '#src/hosting/proxied/request-headers.ts';
import { newId, silentLog, type TenantId } from '#src/kernel/index.ts';
import { createAppProcesses, startKeeperLink } from '#src/processes/index.ts';
import type { Entrance } from '#src/processes/types.ts';
import { startWorld, type World } from '#src/processes/world.fixture.ts';
import type { Report } from '../report.ts';

export async function probeApps(report: Report): Promise<void> {
  probeHeaders(report);
  const world = await startWorld();
  try {
    await probeEntrances(report, join(world.folder, 'entrances.sock'));
    await probeSandboxes(report, world);
  } finally {
    await world.stop();
  }
}

/** Who is asking, as the app is told: never what the client says. */
function probeHeaders(report: Report): void {
  const rawHeaders = [
    'Freehold-Identity',
    'forged',
    'X-Forwarded-Host',
    'brick.example',
    'Cookie',
    'a=1; __Host-freehold=s3',
    'X-App',
    'x',
  ];
  const request = { rawHeaders, headers: { cookie: rawHeaders[5] }, method: 'GET' } as unknown as IncomingMessage;
  const saying = {
    authority: 'quartz.example',
    clientAddress: '::1',
    requestId: 'r',
    identity: undefined,
    isWithToken: false,
  };
  const sent = requestHeaders(request, saying).join('\n');
  report.check('an identity that a client sends does not arrive', !sent.includes('forged'), sent);
  report.check('a host that a client names does not arrive', !sent.includes('brick.example'), sent);
  report.check("the platform's cookie does not arrive", !sent.includes('s3'), sent);
}

/** A gateway that is told of two tenants' entrances gives each its own. */
async function probeEntrances(report: Report, socketPath: string): Promise<void> {
  const link = startKeeperLink({
    socketPath,
    keeper: {
      enter: async (tenantId) => ({ instanceId: `of-${tenantId}`, socketPath: `/${tenantId}` }),
      used: () => undefined,
    },
    log: silentLog,
  });
  await link.start();
  const gateway = createAppProcesses({ socketPath, log: silentLog });
  try {
    const tenants = [newId('ten'), newId('ten')];
    const never = new AbortController().signal;
    // The second time from memory.
    for (const tenantId of [...tenants, ...tenants]) {
      const visit = await gateway.visit(tenantId, never);
      report.check('a gateway enters the app of the tenant', visit.socketPath === `/${tenantId}`, visit.socketPath);
      visit.leave();
    }
  } finally {
    await gateway.stop();
    await link.stop();
  }
}

async function probeSandboxes(report: Report, world: World): Promise<void> {
  const outside = createServer((socket) => socket.end('outside'));
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const { port } = outside.address() as { port: number };
  try {
    const tenants = [world.tenant(), world.tenant()] as const;
    // Both awake before either is asked.
    const [one, two] = await Promise.allSettled(tenants.map((tenantId) => world.keeper.enter(tenantId)));
    const areAwake = one?.status === 'fulfilled' && two?.status === 'fulfilled';
    const why = () => [one, two].map((each) => String((each as { reason?: unknown }).reason ?? '')).join('\n');
    if (!report.check('two apps that listen on the same port are awake beside each other', areAwake, why)) return;
    const entrances = [one, two].map((each) => (each as PromiseFulfilledResult<Entrance>).value);
    const users = new Set<string>();
    for (const [index, tenantId] of tenants.entries()) {
      const other = tenants[1 - index]!;
      const { text } = await world.fetch(entrances[index]!.socketPath, '/');
      report.check('an app has the secrets of its tenant', text.includes(`s3cret-of-${tenantId}`), text);
      report.check('and of no other', !text.includes(other), text);
      await world.shell(
        tenantId,
        `echo ${tenantId} >/data/mine; chmod 644 /data/mine; echo log of ${tenantId} >/proc/1/fd/1 2>/dev/null`,
      );
      const { stdout } = await world.shell(tenantId, sees(port));
      users.add(/^uid=(\d+)/m.exec(stdout)?.[1] ?? '');
      checkSight(report, stdout, other);
    }
    report.check(
      'each app is a user of its own',
      users.size === 2 && !users.has('0') && !users.has(''),
      [...users].join(),
    );
    checkFolders(report, world, tenants);
    await checkLogs(report, world, tenants);
  } finally {
    outside.close();
  }
}

/** What an app sees of others, in one go. */
const sees = (port: number) =>
  [
    'echo uid=$(id -u)',
    'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | sed "s/^/processes=/"; echo',
    'for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null | tr "\\0" "\\n"; done',
    'for p in /proc/[0-9]*; do grep -qs node $p/comm && grep -E "^(Uid|CapEff)" $p/status | tr "\\n\\t" "  " && echo; done',
    `/freehold/bin/node -e 'require("net").connect(${port},"127.0.0.1").on("data",d=>console.log("reached="+d)).on("error",e=>console.log(e.code))'`,
    'cat /data/mine',
  ].join('; ');

function checkSight(report: Report, stdout: string, other: TenantId): void {
  report.check('nothing of the other tenant is to be seen', !stdout.includes(other), stdout);
  report.check('no process of the machine is to be seen', !/processes=.*(run-probes|postgres)/.test(stdout), stdout);
  report.check("the machine's own network is out of reach", !/^reached=/m.test(stdout), stdout);
  const powers = stdout.split('\n').filter((line) => line.startsWith('Uid:'));
  report.check('processes are to be seen', powers.length > 0, stdout);
  report.check(
    'nobody in a sandbox is root',
    powers.every((line) => !/^Uid:\s+0\b/.test(line)),
    powers.join('\n'),
  );
}

function checkFolders(report: Report, { folder }: World, tenants: readonly TenantId[]): void {
  for (const tenantId of tenants)
    report.check('each has its folder', existsSync(join(folder, 'data', tenantId, 'mine')), tenantId);
}

async function checkLogs(report: Report, { keeper }: World, tenants: readonly TenantId[]): Promise<void> {
  for (const tenantId of tenants) {
    const { lines } = await keeper.readLog(tenantId, { last: 100 });
    const starts = lines.filter((line) => line.includes('the app is healthy')).length;
    report.check('a log is of one app', starts === 1, lines.join('\n'));
  }
}
