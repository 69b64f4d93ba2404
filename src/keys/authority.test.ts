import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { createGatewayKey, createLocalAuthority, type LocalAuthority } from './authority.ts';

let folder: string;
let authority: LocalAuthority;
let gateway: { privateKeyPem: string; publicKeyPem: string };
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-authority-'));
  authority = await createLocalAuthority(join(folder, 'control'));
  gateway = await createGatewayKey(join(folder, 'tls'));
});
after(() => rm(folder, { recursive: true }));

test('a leaf is for one host, for servers, at most 397 days, with a random serial number', async () => {
  const first = new X509Certificate(await authority.issue('acme.localhost', gateway.publicKeyPem));
  const second = new X509Certificate(await authority.issue('acme.localhost', gateway.publicKeyPem));
  assert.equal(first.subjectAltName, 'DNS:acme.localhost');
  assert.deepEqual(first.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(first.ca, false);
  const days = (Date.parse(first.validTo) - Date.parse(first.validFrom)) / 86_400_000;
  assert.ok(days > 390 && days <= 397, `${days} days`);
  assert.ok(first.serialNumber.length >= 32 && first.serialNumber.length <= 40);
  assert.notEqual(first.serialNumber, second.serialNumber);
  const root = new X509Certificate(authority.certificatePem);
  assert.ok(first.checkIssued(root) && first.verify(root.publicKey) && root.ca);
});

test('the same authority and key come back after a restart; files are private', async () => {
  assert.equal((await createLocalAuthority(join(folder, 'control'))).certificatePem, authority.certificatePem);
  assert.deepEqual(await createGatewayKey(join(folder, 'tls')), gateway);
  for (const path of ['control/ca.key', 'control/ca.crt', 'tls/gateway.key'])
    assert.equal((await stat(join(folder, path))).mode & 0o777, 0o600, path);
});

test('many makers at once agree on one authority and one key', async () => {
  const made = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const { certificatePem } = await createLocalAuthority(join(folder, 'race'));
      const { publicKeyPem } = await createGatewayKey(join(folder, 'race'));
      return certificatePem + publicKeyPem;
    }),
  );
  assert.equal(new Set(made).size, 1);
});

test('other names and other keys are refused', async () => {
  const refused = { code: 'FH_CERTIFICATE_REFUSED' };
  for (const host of [
    '',
    'example.com',
    '*.localhost',
    'a.localhost.',
    'A.localhost',
    'evillocalhost',
    '127.0.0.1',
    'a..localhost',
    '-a.localhost',
    'a_b.localhost',
    'a.localhost\n',
    `${'a'.repeat(64)}.localhost`,
  ])
    await assert.rejects(authority.issue(host, gateway.publicKeyPem), refused, host);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
  await assert.rejects(authority.issue('a.localhost', rsa.toString()), refused);
  await assert.rejects(authority.issue('a.localhost', 'no key'), refused);
  await assert.rejects(createLocalAuthority(join(folder, 'control'), { domain: 'example.org' }), refused);
  await authority.issue(`${'a'.repeat(63)}.${'b'.repeat(63)}.localhost`, gateway.publicKeyPem);
});

test('a client that trusts the authority connects, by exactly this name', async () => {
  const cert = await authority.issue('acme.localhost', gateway.publicKeyPem);
  const server = createServer({ cert, key: gateway.privateKeyPem, minVersion: 'TLSv1.2' }, (socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = async (servername: string) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: authority.certificatePem });
    await once(socket, 'secureConnect').finally(() => socket.destroy());
  };
  try {
    await open('acme.localhost');
    await assert.rejects(open('other.localhost'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  } finally {
    server.close();
  }
});

test('the name constraint holds even if the key of the authority is stolen', async () => {
  const [ca, key, leaf] = ['ca.crt', 'ca.key', 'leaf.crt'].map((name) => join(folder, 'control', name)) as [
    string,
    string,
    string,
  ];
  const check = () =>
    spawnSync('openssl', ['verify', '-purpose', 'sslserver', '-CAfile', ca, leaf], { encoding: 'utf8' });
  await writeFile(leaf, await authority.issue('acme.localhost', gateway.publicKeyPem));
  assert.equal(check().status, 0, check().stderr);
  for (const name of ['DNS:bank.example', 'IP:127.0.0.1', 'IP:::1']) {
    const request = execFileSync(
      'openssl',
      [
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        '/dev/null',
        '-subj',
        '/O=Forged',
        '-addext',
        `subjectAltName=${name}`,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const forged = execFileSync(
      'openssl',
      ['x509', '-req', '-CA', ca, '-CAkey', key, '-copy_extensions', 'copyall', '-days', '30'],
      { input: request, stdio: ['pipe', 'pipe', 'ignore'] },
    );
    await writeFile(leaf, forged);
    assert.match(check().stderr, /permitted subtree violation|excluded subtree violation/, name);
  }
});
