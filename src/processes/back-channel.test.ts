/** The way of an app to its provider, out of a real sandbox: whose it is, the app has no say in. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { openBackChannel } from './back-channel.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
let gatewaysFolder: string;
let gateway: Server;
/** Below 1024, as on a real installation, and another. */
let acme: TenantId;
let globex: TenantId;
let none: TenantId;

before(async () => {
  gatewaysFolder = await mkdtemp(join(tmpdir(), 'fh-back-'));
  world = await startWorld({
    openBackChannel: (sandboxFolder, caller) =>
      openBackChannel(caller, { sandboxFolder, gatewaysFolder, clock: systemClock, log: silentLog }),
  });
  acme = world.tenant({ issuer: { host: 'acme.example.org', port: 443 } });
  globex = world.tenant({ issuer: { host: 'globex.localhost', port: 8443 } });
  none = world.tenant();
});
after(async () => {
  gateway?.close();
  await world.stop();
  await rm(gatewaysFolder, { recursive: true });
});

/** Answers with what it was told, and what the app has said. */
const startGateway = (name: string) =>
  new Promise<Server>((resolve) => {
    const server: Server = createServer((socket) => {
      let heard = '';
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        heard += chunk;
        if (heard.endsWith('END')) socket.end(heard);
      });
    }).listen(join(gatewaysFolder, name), () => resolve(server));
  });

/** What comes back from there, asked by the app. */
async function ask(tenantId: TenantId, host: string, port: number, said = 'hello END'): Promise<string> {
  const code = `const s=require("net").connect({host:"${host}",port:${port}},()=>s.write(${JSON.stringify(said)}));s.on("error",e=>console.log(e.code));s.pipe(process.stdout)`;
  return (await world.shell(tenantId, `/freehold/bin/node -e '${code}'`)).stdout.trim();
}

test('waits for a gateway, passes over sockets of those that are gone, and says whose the connection is', async () => {
  // What a worker that was killed has left.
  await writeFile(join(gatewaysFolder, '1.sock'), '');
  const asked = ask(acme, 'acme.example.org', 443);
  gateway = await startGateway('2.sock');
  assert.equal(await asked, `${JSON.stringify({ tenantId: acme, host: 'acme.example.org' })}\nhello END`);
  assert.equal(
    await ask(globex, 'globex.localhost', 8443),
    `${JSON.stringify({ tenantId: globex, host: 'globex.localhost' })}\nhello END`,
  );
  // Whoever claims to be somebody else says it after the line that counts.
  const forged = `${JSON.stringify({ tenantId: globex, host: 'globex.localhost' })}\nEND`;
  const [first] = (await ask(acme, 'acme.example.org', 443, forged)).split('\n');
  assert.equal(first, JSON.stringify({ tenantId: acme, host: 'acme.example.org' }));
});

test('is there for apps that have a provider, under their own name and port alone', async () => {
  assert.match(await ask(acme, 'globex.localhost', 443), /ENOTFOUND|EAI_AGAIN/);
  assert.equal(await ask(acme, '127.0.0.1', 8443), 'ECONNREFUSED');
  assert.match(await ask(none, 'acme.example.org', 443), /ENOTFOUND|EAI_AGAIN/);
  for (const port of [443, 8443]) assert.equal(await ask(none, '127.0.0.1', port), 'ECONNREFUSED');
});

test('gives neither the app nor the door-keeper a right that lasts, and shows the app no socket', async () => {
  const { stdout } = await world.shell(acme, 'grep -hE "^Cap(Prm|Eff|Amb|Inh)" /proc/[0-9]*/status /proc/self/status');
  const seen = new Set(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/)[1]),
  );
  // The third is bubblewrap, which waits for the end of the sandbox with what it was started with.
  const { stdout: owners } = await world.shell(
    acme,
    'for p in /proc/[0-9]*; do grep -q "^CapEff:.*[1-9a-f]" $p/status && cat $p/comm; done; true',
  );
  assert.ok(seen.has('0000000000000000'));
  assert.ok(
    owners.split('\n').every((name) => name === '' || name === 'bwrap'),
    owners,
  );
  const bound = await world.shell(
    acme,
    `/freehold/bin/node -e 'require("net").createServer().on("error",e=>console.log(e.code)).listen(444,"127.0.0.1",function(){console.log("bound");this.close()})'`,
  );
  assert.equal(bound.stdout.trim(), 'EACCES');
  assert.notEqual((await world.shell(acme, 'ls /freehold/link')).code, 0);
  const systems = '/etc/ssl/certs/ca-certificates.crt';
  assert.equal((await world.shell(acme, `cat /freehold/authorities.pem >/dev/null`)).code, 0);
  assert.equal((await world.shell(acme, `! test -f ${systems} || cmp /freehold/authorities.pem ${systems}`)).code, 0);
  assert.notEqual((await world.shell(none, 'cat /freehold/authorities.pem')).code, 0);
});

test('refuses a host that would be more than one name', async () => {
  for (const host of ['evil.example\n127.0.0.1 x.example', 'a b.example', '', 'UPPER.example', 'localhost', '../x.y'])
    await assert.rejects(
      world.launcher.prepare({
        kind: 'serve',
        owner: acme,
        app: 'probe',
        digest: '0'.repeat(64),
        place: 9,
        limits: { memoryBytes: 2 ** 28, cpus: 1, processes: 64 },
        issuer: { host, port: 443 },
      }),
      { code: 'FH_APP_LAUNCH_REFUSED' },
      host,
    );
});
