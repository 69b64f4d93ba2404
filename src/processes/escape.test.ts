import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TenantId } from '#src/kernel/index.ts';
import { firstAppUid } from './sandbox.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
/** Hostile, and its neighbour. */
let hostile: TenantId;
let neighbour: TenantId;
/** On this machine's loopback, where an app must not reach. */
let outside: Server;
let outsidePort: number;
/** Plays PostgreSQL: says who it is, so that the way to it is seen to be open. */
let database: Server;

before(async () => {
  world = await startWorld();
  outside = createServer((socket) => socket.end('outside'));
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  outsidePort = (outside.address() as { port: number }).port;
  database = createServer((socket) => socket.on('error', () => undefined).write('database'));
  await new Promise<void>((resolve) => database.listen(join(world.folder, 'pg', '.s.PGSQL.5432'), resolve));
  await chmod(join(world.folder, 'pg', '.s.PGSQL.5432'), 0o666);
  hostile = world.tenant({ limits: { memoryBytes: 192 * 2 ** 20, processes: 40 } });
  neighbour = world.tenant();
  await world.keeper.enter(hostile);
  await world.shell(neighbour, 'echo mine >/data/secret; chmod 644 /data/secret');
});
after(async () => {
  outside.close();
  database.close();
  await world.stop();
});

/** What a line of shell in the hostile app says. */
const run = (line: string) => world.shell(hostile, line);
const node = (code: string) => run(`/freehold/bin/node -e '${code}'`);

test('an app is its own user, without any capability or way to get one', async () => {
  const { stdout } = await run('id -u; id -G; grep -E "^(Cap(Prm|Eff|Amb|Inh)|NoNewPrivs)" /proc/self/status');
  const uid = firstAppUid + world.specs.get(hostile)!.place;
  assert.deepEqual(stdout.trim().split(/\s+/), [
    `${uid}`,
    `${uid}`,
    ...['CapInh:', '0000000000000000', 'CapPrm:', '0000000000000000', 'CapEff:', '0000000000000000'],
    ...['CapAmb:', '0000000000000000', 'NoNewPrivs:', '1'],
  ]);
});

test('the door-keeper has no capability either once the app runs, and never had others than it needs', async () => {
  // It is the parent of the app in the sandbox.
  const { stdout } = await run(
    'for p in /proc/[0-9]*; do grep -qs node $p/comm && grep -E "^(Name|Uid|CapPrm|CapBnd)" $p/status | tr "\\n\\t" "  "; echo; done',
  );
  const doors = stdout.split('\n').filter((line) => line.includes('node') && line.includes('64001'));
  assert.equal(doors.length, 1, stdout);
  assert.match(doors[0]!, /CapPrm:\s+0000000000000000/);
});

test('it reads its own program and folder, and writes its folder only', async () => {
  assert.equal((await run('cat /app/app.mjs >/dev/null && echo x >/data/mine && cat /data/mine')).stdout, 'x\n');
  for (const path of ['/app/x', '/x', '/usr/x', '/etc/x', '/freehold/x', '/freehold/http/x', '/freehold/link/x']) {
    const { code } = await run(`echo x >${path}`);
    assert.notEqual(code, 0, path);
  }
});

test('nothing of the machine, of Freehold or of another tenant is there to be read', async () => {
  const paths = [
    world.folder,
    join(world.folder, 'data'),
    join(world.folder, 'data', neighbour),
    join(world.folder, 'box'),
    '/root',
    '/home',
    '/var',
    '/run',
    '/sys',
    '/etc/shadow',
    '/etc/ssh',
    '/proc/1/environ',
    '/proc/1/root/etc/shadow',
    '/proc/1/cwd/',
    '/freehold/link/keeper.sock',
    '/freehold/sockets/pg/.s.PGSQL.5432',
    '/dev/mem',
    '/dev/sda',
    '/dev/vda',
    '/dev/kmsg',
  ];
  for (const path of paths) {
    const { code, stdout } = await run(`test -d ${path} && ls -A ${path} || cat ${path}`);
    assert.ok(code !== 0 || stdout === '', `${path}: ${stdout.slice(0, 200)}`);
  }
  const all = await run('find / -xdev -name secret 2>/dev/null; cat /etc/passwd');
  assert.ok(!all.stdout.includes('secret'));
  assert.ok(!all.stdout.includes('postgres'));
  assert.equal((await world.shell(neighbour, 'cat /data/secret')).stdout, 'mine\n');
});

test('its environment is what it was given, and no other process is to be seen', async () => {
  const names = (await run('env | cut -d= -f1 | sort | tr "\\n" " "')).stdout.trim().split(' ');
  assert.deepEqual(
    names.filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name)),
    ['HOME', 'PATH', 'PORT', 'SECRET'],
  );
  const { stdout } = await run('cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "');
  assert.ok(!stdout.includes('postgres') && !stdout.includes('keeper.test'), stdout);
  assert.ok(!stdout.includes(`s3cret-of-${neighbour}`));
});

test('signals and debuggers reach its own processes only', async () => {
  const { stdout } = await run(
    'for p in 1 2; do kill -0 $p 2>&1 && echo reached; done; cat /proc/1/mem /proc/2/mem 2>&1 | head -c 300',
  );
  assert.ok(!stdout.includes('reached'), stdout);
  assert.equal((await run('kill -9 1 2; echo still')).stdout, 'still\n');
});

test('its network has nothing but itself and its own database', async () => {
  assert.match((await run('cat /proc/net/dev')).stdout, /lo:/);
  assert.doesNotMatch((await run('cat /proc/net/dev')).stdout, /eth|ens|wl/);
  const connect = (host: string, port: number) =>
    node(
      `require("node:net").connect({host:"${host}",port:${port},timeout:1500}).on("data",d=>{console.log(String(d));process.exit()}).on("error",e=>{console.log(e.code);process.exit()}).on("timeout",()=>{console.log("timeout");process.exit()})`,
    );
  assert.equal((await connect('127.0.0.1', outsidePort)).stdout, 'ECONNREFUSED\n');
  assert.equal((await connect('127.0.0.1', 5432)).stdout, 'database\n');
  for (const [host, port] of [
    ['169.254.169.254', 80],
    ['fd00:ec2::254', 80],
    ['10.0.0.1', 22],
    ['192.0.2.1', 443],
    ['::1', outsidePort],
  ] as const)
    assert.match((await connect(host, port)).stdout, /^(ENETUNREACH|ECONNREFUSED|EADDRNOTAVAIL|EHOSTUNREACH)\n$/, host);
  assert.notEqual((await run('getent hosts example.com')).code, 0);
  const abstract = createServer((socket) => socket.end('outside'));
  await new Promise<void>((resolve) => abstract.listen('\0freehold-escape', resolve));
  const tried = await node(
    'require("node:net").connect("\\0freehold-escape").on("data",d=>console.log(String(d))).on("error",e=>console.log(e.code))',
  );
  abstract.close();
  assert.equal(tried.stdout, 'ECONNREFUSED\n');
});

test('there are no name spaces, mounts, raw sockets, devices or modules to be had', async () => {
  for (const line of [
    'mount -t tmpfs none /tmp',
    'mknod /data/sda b 8 0',
    'chroot / id',
    'unshare --mount id',
    'unshare --user --map-root-user id',
    'nsenter --target 1 --all id',
    'setpriv --reuid=0 id',
    'su -c id',
    'swapon /data/x',
    'dmesg',
    'insmod /data/x.ko',
    'hostname other',
    'date --set=2001-01-01',
    'chown 0 /data/mine',
    'ip link add x type dummy',
    'keyctl show',
    'renice -n -5 $$',
  ]) {
    const { code, stdout } = await run(line);
    assert.notEqual(code, 0, `${line}: ${stdout}`);
  }
  await run('cp /usr/bin/id /data/id && chmod 4755 /data/id');
  assert.match((await run('/data/id -u')).stdout, new RegExp(`^${firstAppUid + world.specs.get(hostile)!.place}`));
});

test('families of sockets that no network name space fences are refused', async (context) => {
  const { code, stdout } = await run(
    '/usr/bin/perl -MSocket -e \'for my $f (1,2,10,16){socket(my $s,$f,SOCK_DGRAM,0) or print "$f refused "} for my $f (17,38,40,44){socket(my $s,$f,SOCK_STREAM,0) and print "$f open "} print "done"\'',
  );
  context.diagnostic(stdout);
  assert.deepEqual([code, stdout], [0, 'done']);
});

test('of connections to the database it has as many as it is allowed, counted where nobody has to say who it is', async () => {
  const limit = world.specs.get(hostile)!.limits.connections;
  const program = (then: string) =>
    `const n=require("node:net");let o=0,told="";for(let i=0;i<20;i++)n.connect(5432,"127.0.0.1").on("error",()=>0).on("data",function(d){if(d[0]===69)told+=d.length+d.subarray(5)+"|";else{o++;${then}}}).on("close",()=>{if(told.split("|").length===17||o===20){console.log(o+" "+told);process.exit()}})`;
  // Whoever has to wait is let in when another one goes.
  assert.equal((await node(program('this.destroy()'))).stdout.trim(), '20');
  const held = await node(program(''));
  assert.match(held.stdout, new RegExp(`^${limit} `));
  const told = held.stdout.replaceAll('\0', ' ').match(/\d+SFATAL VFATAL C53300 M[^|]+ {2}\|/g);
  assert.equal(told?.length, 20 - limit, held.stdout);
  const { lines: log } = await world.keeper.readLog(hostile, { last: 200 });
  assert.ok(log.some((line) => line.includes(`all ${limit} connections (limits.connections) are in use`)));
});

test('links in its folder lead nobody else anywhere', async () => {
  await run('ln -sf /etc/shadow /data/link; ln -sf / /data/root');
  assert.notEqual((await run('cat /data/link')).code, 0);
});

test('a fork bomb, too much memory and a burning processor stay its own', async () => {
  const bomb = await run('for i in $(seq 1 200); do sleep 30 >/dev/null 2>&1 & done; jobs -p | wc -l; kill $(jobs -p)');
  assert.ok(
    JSON.stringify(bomb).includes('fork') || Number(bomb.stdout.trim().split('\n').at(-1)) < 60,
    JSON.stringify(bomb),
  );
  assert.equal((await world.shell(neighbour, 'echo well')).stdout, 'well\n');
  await world.keeper.evict(hostile);
  if (world.groups) {
    // One process takes more than all may have: it is ended, or all are, and nobody else notices.
    await run('/freehold/bin/node -e "const a=[];for(;;)a.push(Buffer.alloc(1e7,1))"').catch(() => undefined);
    assert.equal((await world.shell(neighbour, 'echo well')).stdout, 'well\n');
  }
});

test('a sandbox is gone with its last process, whatever was left running in it', async () => {
  await world.shell(hostile, '(setsid sleep 987654 >/dev/null 2>&1 &) ; trap "" TERM; true');
  await world.keeper.evict(hostile);
  const left = await new Promise<string>((resolve) =>
    execFile('ps', ['-eo', 'args'], (_error, stdout) => resolve(stdout)),
  );
  assert.ok(!left.includes('sleep 987654'));
});

test('what the launcher is asked for is checked before anything happens', async () => {
  const good = {
    kind: 'serve',
    owner: hostile,
    app: 'probe',
    digest: '0'.repeat(64),
    place: 7,
    limits: { memoryBytes: 2 ** 28, cpus: 1, processes: 64 },
  };
  for (const change of [
    { kind: 'other' },
    { owner: '../../etc' },
    { owner: 'ten_../../../../../../../../x' },
    { owner: 'build' },
    { app: '..' },
    { app: 'a/b' },
    { app: '' },
    { digest: '..' },
    { digest: '../../..' },
    { digest: '1.building' },
    { digest: 'a b' },
    { place: -1 },
    { place: 65_535 },
    { place: 0.5 },
    { place: '0' },
    { limits: { memoryBytes: 1, cpus: 1, processes: 64 } },
    { limits: { memoryBytes: 2 ** 28, cpus: Number.NaN, processes: 64 } },
    { limits: { memoryBytes: 2 ** 28, cpus: 1, processes: 2 ** 31 } },
    { limits: undefined },
  ])
    for (const method of ['prepare', 'launch'] as const)
      await assert.rejects(
        world.launcher[method]({ ...good, ...change } as never),
        { code: 'FH_APP_LAUNCH_REFUSED' },
        JSON.stringify(change),
      );
  assert.ok(!existsSync(join(world.folder, 'box', '7')));
});
