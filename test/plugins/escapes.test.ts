/**
 * A hostile plugin of one tenant tries to reach others, Freehold, the machine and the network around it. Twice: as a plugin runs, with Node.js's permission model inside, and by a shell in the same
 * sandbox, as if that model were not there. The sandbox is that of apps, whose own tries are in src/processes/escape.test.ts.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '#src/kernel/index.ts';
import { createOutgoing, type Outgoing } from '#src/outgoing/index.ts';
import { firstPluginUid } from '#src/processes/index.ts';
import { startTestServer, type TestServer } from '../../src/outgoing/test-server.fixture.ts';
import { type PluginWorld, startPluginWorld } from './world.ts';

let world: PluginWorld;
/** On this machine's loopback. */
let outside: Server;
let outsidePort: number;
/** Plays PostgreSQL. */
let database: Server;
/** The one server that the plugin may reach. */
let allowed: TestServer;
let outgoing: Outgoing;
const reached: string[] = [];
/** What a name server of the attacker's answers. */
const insideNames: Readonly<Record<string, string[]>> = {
  'metadata.example': ['169.254.169.254'],
  'mapped.example': ['::ffff:169.254.169.254'],
  'loopback.example': ['::1'],
  'private.example': ['10.0.0.1'],
  'unique.example': ['fd00:ec2::254'],
  'translated.example': ['64:ff9b::a9fe:a9fe'],
  'second.example': ['93.184.216.34', '192.168.0.1'],
};

before(async () => {
  allowed = await startTestServer((request, answer) => {
    reached.push(`${request.method} ${request.url}`);
    if (request.url?.startsWith('/to/')) answer.writeHead(302, { location: decodeURIComponent(request.url.slice(4)) });
    answer.end('from outside');
  });
  outgoing = createOutgoing({
    allow: [`idp.example:${allowed.port}`],
    ca: allowed.ca,
    log: silentLog,
    resolve: async (name) => insideNames[name] ?? ['127.0.0.1'],
  });
  world = await startPluginWorld(() => ({
    fetch: (url, init) => outgoing.fetch(url, { ...init, timeoutMs: 3_000 }),
  }));
  outside = createServer((socket) => socket.end('outside'));
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  outsidePort = (outside.address() as { port: number }).port;
  const socket = join(world.folder, 'pg', '.s.PGSQL.5432');
  database = createServer((client) => client.on('error', () => undefined).write('database'));
  await new Promise<void>((resolve) => database.listen(socket, resolve));
  await chmod(socket, 0o666);
  await mkdir(join(world.folder, 'store'));
  await writeFile(join(world.folder, 'store', 'root.key'), 'the key', { mode: 0o644 });
  await world.run(
    world.globex,
    handler(`await context.state.set('secret', 'of globex'); console.log('globex was here')`),
  );
});
after(async () => {
  outside?.close();
  database?.close();
  await allowed?.stop();
  await world?.stop();
});

const handler = (
  body: string,
) => `import * as fs from 'node:fs'; import * as net from 'node:net'; import * as cp from 'node:child_process';
import * as os from 'node:os'; import { createRequire } from 'node:module';
const tries = async (list) => { const said = {}; for (const [name, act] of Object.entries(list)) { try { said[name] = String(await act()); } catch (error) { said[name] = error.code ?? error.name; } } return said; };
export default async (input, context) => { ${body} };`;
const connect =
  'const dial = (o) => new Promise((resolve, reject) => { const s = net.connect(o); s.setTimeout(1500, () => reject(new Error("timeout"))); s.on("data", (d) => resolve("reached " + d)); s.on("connect", () => resolve("connected")); s.on("error", reject); });';
const inside = async (body: string, change: object = {}): Promise<Record<string, string>> => {
  const end = await world.run(world.acme, handler(body), change);
  assert.equal(end.outcome, 'succeeded', end.reason ?? '');
  return end.result as Record<string, string>;
};

test('from JavaScript: no file, process, thread, socket, add-on or debugger is to be had', async () => {
  const said = await inside(`${connect} return tries({
    passwd: () => fs.readFileSync('/etc/passwd'), root: () => fs.readdirSync('/'), proc: () => fs.readFileSync('/proc/self/environ'),
    parent: () => fs.readFileSync('/proc/1/environ'), link: () => fs.readFileSync('/freehold/link/keeper.sock'), write: () => fs.writeFileSync('/tmp/x', 'x'),
    own: () => fs.writeFileSync('/app/x', 'x'), symlink: () => fs.symlinkSync('/etc', '/tmp/e'), fd: () => fs.readFileSync('/proc/self/fd/3'),
    shell: () => cp.execSync('id'), fork: () => cp.fork('/app/main.mjs'),
    worker: async () => new (await import('node:worker_threads')).Worker('1', { eval: true }),
    addon: () => createRequire('/app/main.mjs')('/app/x.node'), dlopen: () => process.dlopen({ exports: {} }, '/app/x.node'),
    inspector: async () => (await import('node:inspector')).open(0), wasi: async () => new (await import('node:wasi')).WASI({ version: 'preview1', preopens: { '/': '/' } }),
    tcp: () => dial({ host: '127.0.0.1', port: ${outsidePort} }), database: () => dial({ host: '127.0.0.1', port: 5432 }), unix: () => dial('/freehold/link/keeper.sock'),
    fetch: () => fetch('http://169.254.169.254/'), dns: async () => (await import('node:dns/promises')).resolve4('example.com'),
    udp: async () => new Promise(async (resolve, reject) => { const s = (await import('node:dgram')).createSocket('udp4'); s.on('error', reject); s.send('x', 53, '127.0.0.1', (e) => (e ? reject(e) : resolve('sent'))); }),
    listen: () => new Promise((resolve, reject) => net.createServer().on('error', reject).listen(0, () => resolve('listening'))),
    setuid: () => process.setuid(0), kill: () => process.kill(1, 9), binding: () => process.binding('spawn_sync').spawn({}),
    env: () => { const names = Object.keys(process.env); if (names.length === 0) throw Object.assign(new Error(), { code: 'EMPTY' }); return names; },
    args: () => { const text = process.argv.concat(process.execArgv).join(' '); if (!/fhp_|token|password/i.test(text)) throw Object.assign(new Error(), { code: 'EMPTY' }); return text; },
    shadow: () => os.userInfo().username === 'root' ? 'root' : Promise.reject(Object.assign(new Error(), { code: 'NOT_ROOT' })),
  });`);
  const refusals =
    /^(ERR_ACCESS_DENIED|ERR_DLOPEN_DISABLED|ERR_INVALID_MODULE|ERR_WORKER_\w+|EPERM|ESRCH|EACCES|ECONNREFUSED|EMPTY|NOT_ROOT|TypeError|ENOENT|MODULE_NOT_FOUND|ECONN\w*|ENOTFOUND|EAI_AGAIN|ERR_UNKNOWN_SIGNAL)$/;
  for (const [name, what] of Object.entries(said)) assert.match(what, refusals, `${name}: ${what}`);
  const denied = [
    'passwd',
    'root',
    'proc',
    'parent',
    'link',
    'write',
    'own',
    'shell',
    'fork',
    'worker',
    'tcp',
    'database',
    'unix',
  ];
  for (const name of denied) assert.equal(said[name], 'ERR_ACCESS_DENIED', name);
  assert.ok(Object.keys(said).length > 25);
});

test('by a shell in its sandbox: a user of its own, without capability, folder, database, network or neighbours', async () => {
  const [plugin] = await world.registry.list(world.acme);
  const uid = firstPluginUid + plugin!.place;
  const who = await world.shell(world.acme, 'id -u; id -G; grep -E "^(Cap(Prm|Eff|Amb)|NoNewPrivs)" /proc/self/status');
  assert.match(
    who.stdout.replace(/\s+/g, ' '),
    new RegExp(`^${uid} ${uid} CapPrm: 0+ CapEff: 0+ CapAmb: 0+ NoNewPrivs: 1`),
  );
  const paths = [
    world.folder,
    join(world.folder, 'store', 'root.key'),
    join(world.folder, 'apps'),
    join(world.folder, 'plugins.sock'),
    ...['/root', '/home', '/var', '/run', '/sys', '/data', '/etc/shadow', '/proc/1/environ', '/proc/1/root/etc/shadow'],
    ...['/freehold/link/keeper.sock', '/freehold/sockets/pg/.s.PGSQL.5432', '/dev/mem', '/dev/sda', '/dev/kmsg'],
  ];
  const looked = await each(paths.map((path) => `test -d ${path} && ls -A ${path} || cat ${path}`));
  for (const [index, { code, said }] of looked.entries())
    assert.ok(code !== 0 || said === '', `${paths[index]}: ${said}`);
  const lines = [
    'echo x >/app/x',
    'echo x >/usr/x',
    'echo x >/freehold/link/x',
    'mount -t tmpfs none /tmp',
    'unshare --user --map-root-user id',
    'unshare --mount id',
    'nsenter --target 1 --all id',
    'setpriv --reuid=0 id',
    'chroot / id',
    'mknod /tmp/sda b 8 0',
    'dmesg',
    'kill -9 1',
    'ip link add x type dummy',
    'getent hosts example.com',
    'ls /freehold/sockets/*',
  ];
  const tried = await each(lines);
  for (const [index, { code, said }] of tried.entries()) assert.notEqual(code, 0, `${lines[index]}: ${said}`);
  const seen = 'cat /proc/[0-9]*/cmdline | tr "\\0" " "; cat /proc/net/dev; find / -xdev -name "*.key" 2>/dev/null';
  assert.doesNotMatch((await world.shell(world.acme, seen)).stdout, /postgres|globex|eth|ens|root\.key/);
});

/** Each line in a shell of its own, all in one sandbox. */
async function each(lines: readonly string[]): Promise<{ code: number; said: string }[]> {
  const quoted = lines.map((line) => `'${line.replaceAll("'", "'\\''")}'`).join(' ');
  const { stdout } = await world.shell(
    world.acme,
    `for line in ${quoted}; do sh -c "$line" >/tmp/said 2>/dev/null; echo "$? $(head -c 200 /tmp/said | tr '\\n\\0' '  ')"; done`,
  );
  const answers = stdout.trimEnd().split('\n');
  assert.equal(answers.length, lines.length, stdout);
  return answers.map((answer) => ({ code: Number.parseInt(answer, 10), said: answer.replace(/^\d+ ?/, '').trim() }));
}

test('no address leads anywhere: loopback, its neighbour, PostgreSQL, metadata of clouds, private networks', async () => {
  const abstract = createServer((socket) => socket.end('outside'));
  await new Promise<void>((resolve) => abstract.listen('\0freehold-plugin-escape', resolve));
  const targets = [
    ...[outsidePort, 5432].map((port) => ({ host: '127.0.0.1', port })),
    { host: '::1', port: outsidePort },
    { host: '169.254.169.254', port: 80 },
    { host: 'fd00:ec2::254', port: 80 },
    { host: '10.0.0.1', port: 22 },
    { host: '192.0.2.1', port: 443 },
    { path: '\0freehold-plugin-escape' },
  ];
  const program = `for (const to of ${JSON.stringify(targets)}) require("node:net").connect({ ...to, timeout: 1500 }).on("connect", () => console.log("connected")).on("error", (e) => console.log(e.code)).on("timeout", () => process.exit(console.log("timeout")))`;
  const { stdout } = await world.shell(world.acme, `/freehold/bin/node -e '${program}'`);
  abstract.close();
  const answers = stdout.trim().split('\n');
  assert.equal(answers.length, targets.length, stdout);
  for (const answer of answers) assert.match(answer, /^E(NETUNREACH|CONNREFUSED|ADDRNOTAVAIL|HOSTUNREACH)$/);
});

test('out of the door it reaches the servers that it declares, and by no name or redirect any other', async () => {
  const good = `https://idp.example:${allowed.port}/hook`;
  const urls = [
    good,
    `https://idp.example:${outsidePort}/`,
    'https://other.example/',
    'https://169.254.169.254/latest/meta-data/',
    'https://127.0.0.1/',
    'https://localhost/',
    'http://idp.example/',
    `https://idp.example:${allowed.port}@other.example/`,
    `https://other.example#@idp.example:${allowed.port}/`,
    `https://idp.example:${allowed.port}\\\\@other.example/`,
    'file:///etc/passwd',
    'https://metadata.google.internal/',
    'https://[::ffff:169.254.169.254]/',
    'https://2852039166/',
    '',
  ];
  const body = `const said = []; for (const url of ${JSON.stringify(urls)}) said.push(await context.fetch(url).then(({ status }) => status, (error) => error.code));
    said.push(await context.fetch('${good}', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }).then((answer) => answer.text(), (error) => error.code));
    said.push(await context.fetch('${good}', { method: 'DELETE' }).catch((error) => error.code), await context.fetch('${good}', { headers: { host: 'evil' } }).catch((error) => error.code),
      await context.fetch('${good}', { headers: { a: 'b\\r\\nc: d' } }).catch((error) => error.code));
    return said;`;
  const hosts = [`idp.example:${allowed.port}`];
  const end = await world.run(world.acme, handler(body), { capabilities: { outgoing: hosts } });
  const no = 'FH_PLUGIN_REFUSED';
  assert.deepEqual(end.result, [200, ...urls.slice(1).map(() => no), 'from outside', no, no, no]);
  assert.deepEqual(reached, ['GET /hook', 'POST /hook']);
  const none = await world.run(world.acme, handler(body));
  assert.ok((none.result as string[]).every((code) => code === no));
  assert.equal(reached.length, 2);
});

test('a server that it declares leads it nowhere inside: by what its name server answers, or by a redirect', async () => {
  const before = reached.length;
  const names = Object.keys(insideNames);
  const inward = ['http://169.254.169.254/', 'https://127.0.0.1/', `https://idp.example:${allowed.port}/other`];
  const redirects = inward.map((to) => `https://idp.example:${allowed.port}/to/${encodeURIComponent(to)}`);
  const urls = [...names.map((name) => `https://${name}/`), ...redirects];
  const body = `const said = []; for (const url of ${JSON.stringify(urls)}) said.push(await context.fetch(url).then(({ status }) => status, (error) => error.code)); return said;`;
  const outgoing = [...names, `idp.example:${allowed.port}`];
  assert.deepEqual((await world.run(world.acme, handler(body), { capabilities: { outgoing } })).result, [
    ...names.map(() => 'FH_OUTGOING_NOT_REACHED'),
    ...redirects.map(() => 'FH_OUTGOING_REDIRECTED'),
  ]);
  assert.equal(reached.length - before, redirects.length);
});

test('what it says to the keeper by hand gets it nothing more: other calls, other tenants, forged ends, lines without end', async () => {
  const said = await world.run(
    world.acme,
    handler(`const ask = (line) => process.stdout.write(line + '\\n');
      ask('{"id":1001,"call":"__proto__","params":{}}'); ask('{"id":1002,"call":"state.get","params":{"key":"secret","plugin":"probe","tenantId":"${world.globex}"}}');
      ask('{"id":1003,"call":"api","params":null}'); ask('not json'); ask('{"half":'); ask('[]'); ask('null'); ask('{"id":{},"call":[]}');
      ask('{"log":"\\\\u001b[2Jred ' + 'fhp_' + 'A'.repeat(36) + '"}');
      return [await context.state.get('secret'), await context.state.list()];`),
  );
  assert.deepEqual(said.result, [null, []]);
  const log = await world.log(world.acme);
  assert.ok(log.includes('not json') && !log.includes('\u001b') && !log.includes(`fhp_${'A'.repeat(36)}`), log);
  assert.doesNotMatch(log, /globex was here|of globex/);
  const endless = await world.run(
    world.acme,
    handler(
      `for (;;) if (!process.stdout.write('x'.repeat(65_536))) await new Promise((go) => process.stdout.once('drain', go));`,
    ),
  );
  assert.match(endless.reason!, /line of more than 2 MiB/);
  const flood = await world.run(
    world.acme,
    handler(
      `let refused = 0; for (let i = 0; i < 10_100; i++) await context.state.list({}).catch(() => 0); await context.state.get('k').catch((error) => { refused = error.message; }); return refused;`,
    ),
    { limits: { timeoutSeconds: 60 } },
  );
  assert.match(String(flood.result), /10000 calls/);
});

test('a fork bomb, too much memory, a full disk and a burning processor end with it', async () => {
  const bomb = await world.shell(
    world.acme,
    'for i in $(seq 1 200); do sleep 20 >/dev/null 2>&1 & done 2>&1; jobs -p | wc -l; kill $(jobs -p)',
  );
  assert.ok(bomb.stdout.includes('fork') || Number(bomb.stdout.trim().split('\n').at(-1)) < 100, bomb.stdout);
  const disk = await world
    .shell(world.acme, 'cat /dev/zero >/tmp/big 2>/dev/null; stat -c %s /tmp/big', {
      memoryBytes: 64 * 2 ** 20,
    })
    .catch(() => ({ stdout: '0' }));
  assert.ok(Number(disk.stdout.trim() || 0) <= 128 * 2 ** 20, disk.stdout);
  if (world.hasGroups) {
    const memory = await world
      .shell(world.acme, `/freehold/bin/node -e 'const a=[];for(;;)a.push(Buffer.alloc(1e7,1))' 2>&1; echo survived`, {
        memoryBytes: 64 * 2 ** 20,
      })
      .catch(() => ({ stdout: '' }));
    assert.doesNotMatch(memory.stdout, /^survived/);
  }
  const native = await world.run(world.acme, handler(`const a = []; for (;;) a.push(Buffer.alloc(1e7, 1));`), {
    limits: { memoryMb: 64, timeoutSeconds: 20 },
  });
  assert.equal(native.outcome, 'failed');
  assert.equal((await world.run(world.globex, handler('return "well"'))).result, 'well');
});

test('what the supervisor is asked for is checked: nothing runs a plugin as an app, or an app as a plugin', async () => {
  const [plugin] = await world.registry.list(world.acme);
  const good = {
    kind: 'plugin',
    owner: world.acme,
    app: '0-plugins',
    digest: plugin!.digest,
    place: plugin!.place,
    limits: { memoryBytes: 2 ** 28, cpus: 1, processes: 64 },
  };
  for (const change of [
    { kind: 'serve' },
    { kind: 'run' },
    { app: 'wiki' },
    { app: '../0-plugins' },
    { owner: 'build' },
    { digest: '../../etc' },
    { place: 65_535 },
    { place: -1 },
    { cluster: 'c00000000' },
    { issuer: { host: 'acme.localhost', port: 443 } },
  ])
    for (const method of ['prepare', 'launch'] as const)
      await assert.rejects(
        world.launcher[method]({ ...good, ...change } as never),
        { code: 'FH_APP_LAUNCH_REFUSED' },
        JSON.stringify(change),
      );
  await assert.rejects(world.launcher.prepare({ ...good, digest: 'f'.repeat(64) } as never), {
    code: 'FH_APP_FOLDER_MISSING',
  });
  assert.ok(!existsSync(join(world.folder, 'data')));
});
