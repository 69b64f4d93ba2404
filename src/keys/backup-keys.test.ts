import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { readClusterKeys } from './cluster-keys.ts';
import { openObjectBytes, sealObjectBytes } from './sealed-object.ts';
import { openSealedStream, sealStream } from './sealed-stream.ts';
import { createSealer } from './sealer.ts';
import { openKeyStore } from './store.ts';
import type { KeyId, KeyOwner } from './types.ts';

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-keys-'));
  try {
    await use(join(folder, 'keys'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs statements against the store in another process, which a failpoint kills. */
function runAndDie(folder: string, failpoints: string, statements: string): void {
  const code = `
    import { armFailpoints } from '#src/kernel/index.ts';
    import { openKeyStore } from '#src/keys/index.ts';
    const store = await openKeyStore(${JSON.stringify(folder)});
    armFailpoints(${JSON.stringify(failpoints)});
    ${statements}`;
  const ended = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' });
  assert.equal(ended.signal, 'SIGKILL', `passed ${failpoints} alive: ${ended.stderr}`);
}

const ownersOf = (): [KeyOwner, KeyOwner, KeyOwner, KeyOwner] => [
  newId('ten'),
  newId('ten'),
  newId('clu'),
  'installation',
];
const folderOf = (folder: string, owner: KeyOwner) =>
  owner === 'installation'
    ? join(folder, owner)
    : join(folder, owner.startsWith('ten') ? 'tenants' : 'clusters', owner);
const gone = { code: 'FH_KEY_DESTROYED' };

test('every owner has versions of its own; all differ, and all stay over a restart', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(folder);
    const seen = new Map<KeyId, string>();
    for (const owner of ownersOf()) {
      assert.equal(await store.createKey(owner), `${owner}.1`);
      assert.equal(await store.createKey(owner), `${owner}.1`);
      seen.set(`${owner}.1`, (await store.currentKey(owner)).key.toString('hex'));
      for (const version of [2, 3]) {
        assert.equal(await store.rotateKey(owner), `${owner}.${version}`);
        const current = await store.currentKey(owner);
        assert.equal(current.keyId, `${owner}.${version}`);
        assert.equal(current.key.length, 32);
        seen.set(current.keyId, current.key.toString('hex'));
      }
    }
    assert.equal(new Set(seen.values()).size, 12);
    const reopened = await openKeyStore(folder);
    for (const [keyId, key] of seen)
      assert.deepEqual(await reopened.openKey(keyId), { keyId, key: Buffer.from(key, 'hex') });
    assert.deepEqual(new Set(await Array.fromAsync(reopened.keyIds())), new Set(seen.keys()));
  }));

test('whoever reads the keys of clusters beside control gets those and no others, and leaves everything as it is', () =>
  withFolder(async (folder) => {
    await assert.rejects(readClusterKeys(folder), { code: 'FH_KEY_STORE_DAMAGED' });
    const [tenantId, clusterId] = [newId('ten'), newId('clu')];
    const store = await openKeyStore(folder);
    for (const owner of [tenantId, clusterId]) await store.createKey(owner);
    await store.rotateKey(clusterId);
    // Control is in the middle of something.
    await writeFile(join(folderOf(folder, clusterId), '3.key.abc.tmp'), '', { mode: 0o600 });
    const before = await readdir(folder, { recursive: true });
    const keys = await readClusterKeys(folder);
    assert.deepEqual(await keys.clusters(), [clusterId]);
    for (const version of [1, 2]) {
      const keyId: KeyId = `${clusterId}.${version}`;
      assert.deepEqual(await keys.openKey(keyId), await store.openKey(keyId));
    }
    await assert.rejects(keys.openKey(`${tenantId}.1`), TypeError);
    await assert.rejects(keys.openKey(`${clusterId}.3`), gone);
    assert.deepEqual(await readdir(folder, { recursive: true }), before);
  }));

test('what was sealed before a rotation opens after it, for backups and for every older use', () =>
  withFolder(async (folder) => {
    const tenantId = newId('ten');
    const store = await openKeyStore(folder);
    await store.createTenantKey(tenantId);
    const text = Buffer.from('sealed before');
    const cookie = createSealer(await store.deriveTenantKey(tenantId, 'session-cookie')).seal(text, 'c');
    const credentials = createSealer(await store.deriveTenantKey(tenantId, 'database-credentials')).seal(text, 'd');
    const toFile = sealStream(await store.deriveTenantKey(tenantId, 'files'), 'f');
    const file = Buffer.concat(await Array.fromAsync(toFile(Readable.from([text]))));
    const exportKey = await store.deriveTenantKey(tenantId, 'export');
    const before = await store.currentKey(tenantId);
    const header = { kind: 'database', keyId: before.keyId, tenantId } as const;
    const object = await sealObjectBytes(before.key, header, text);

    await store.rotateKey(tenantId);
    const later = await openKeyStore(folder);
    const open = async (purpose: 'session-cookie' | 'database-credentials', sealed: Buffer, context: string) =>
      createSealer(await later.deriveTenantKey(tenantId, purpose)).open(sealed, context);
    assert.deepEqual(await open('session-cookie', cookie, 'c'), text);
    assert.deepEqual(await open('database-credentials', credentials, 'd'), text);
    const fromFile = openSealedStream(await later.deriveTenantKey(tenantId, 'files'), 'f');
    assert.deepEqual(Buffer.concat(await Array.fromAsync(fromFile(Readable.from([file])))), text);
    assert.deepEqual(await later.deriveTenantKey(tenantId, 'export'), exportKey);
    const findKey = async (keyId: KeyId) => (await later.openKey(keyId)).key;
    assert.deepEqual((await openObjectBytes(object, { expect: header, findKey })).content, text);
    const after = await later.currentKey(tenantId);
    assert.notDeepEqual(after.key, before.key);
    await assert.rejects(openObjectBytes(object, { expect: header, findKey: () => after.key }), {
      code: 'FH_KEY_UNSEAL',
    });
  }));

test('destroying takes every version of one owner, for ever', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(folder);
    const [a, b, cluster, installation] = ownersOf();
    for (const owner of [a, b, cluster, installation]) {
      await store.createKey(owner);
      await store.rotateKey(owner);
    }
    const before = await store.currentKey(b);
    for (const owner of [a, cluster]) {
      await store.destroyKey(owner);
      await store.destroyKey(owner);
      await assert.rejects(store.currentKey(owner), gone);
      await assert.rejects(store.openKey(`${owner}.1`), gone);
      await assert.rejects(store.wrappedKey(`${owner}.2`), gone);
      await assert.rejects(store.rotateKey(owner), gone);
      // Its id would mean two keys, and copies of the old one may still lie in a region that is away.
      await assert.rejects(store.createKey(owner), gone);
    }
    await assert.rejects(store.deriveTenantKey(a as never, 'files'), gone);
    await assert.rejects(store.createTenantKey(a as never), gone);
    assert.deepEqual(await store.currentKey(b), before);
    const left = ['installation.1', 'installation.2', `${b}.1`, `${b}.2`];
    assert.deepEqual((await Array.fromAsync(store.keyIds())).sort(), left.sort());
    assert.deepEqual(new Set(await store.destroyedOwners()), new Set([a, cluster]));
    assert.deepEqual(new Set(await (await openKeyStore(folder)).destroyedOwners()), new Set([a, cluster]));
  }));

test('wrapped keys are the files, and hold no key in clear', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(folder);
    const owners = ownersOf();
    for (const owner of owners) await store.createKey(owner);
    await store.rotateKey(owners[0]);
    const wrapped = await Array.fromAsync(store.wrappedKeys());
    assert.equal(wrapped.length, 5);
    for (const { keyId, bytes } of wrapped) {
      const [owner, version] = keyId.split('.') as [KeyOwner, string];
      assert.equal(bytes.length, 61);
      assert.deepEqual(bytes, await readFile(join(folderOf(folder, owner), `${version}.key`)));
      assert.deepEqual(bytes, await store.wrappedKey(keyId));
    }
  }));

test('many rotations at once make as many versions, and destroying among them leaves none', () =>
  withFolder(async (folder) => {
    const [a, b] = ownersOf();
    const store = await openKeyStore(folder);
    await store.createKey(a);
    await store.createKey(b);
    const made = await Promise.all(Array.from({ length: 10 }, () => store.rotateKey(a)));
    assert.equal(new Set(made).size, 10);
    assert.equal((await store.currentKey(a)).keyId, `${a}.11`);
    const mixed = Array.from({ length: 11 }, (_, turn) => (turn === 5 ? store.destroyKey(b) : store.rotateKey(b)));
    const ended = await Promise.allSettled(mixed);
    assert.equal(ended.filter(({ status }) => status === 'rejected').length, 5);
    await assert.rejects(store.currentKey(b), gone);
    assert.deepEqual(await readdir(join(folder, 'tenants')), [a]);
  }));

test('a version that is lost, moved or never was', () =>
  withFolder(async (folder) => {
    const [a, b, cluster] = ownersOf();
    const store = await openKeyStore(folder);
    for (const owner of [a, b, cluster]) {
      await store.createKey(owner);
      await store.rotateKey(owner);
    }
    const damaged = { code: 'FH_KEY_STORE_DAMAGED' };
    await assert.rejects(store.openKey(`${a}.3`), { code: 'FH_KEY_UNSEAL' });
    await assert.rejects(store.openKey(`${newId('clu')}.1`), gone);
    for (const bad of [`${a}.0`, `${a}.01`, `${a}`, '../../etc/passwd.1', 'installation', `${a}.1.1`, `${a}.10000`])
      await assert.rejects(store.openKey(bad as KeyId), TypeError, bad);
    for (const bad of ['usr_1', '../x', '', 'Installation', a.slice(0, -1)]) {
      await assert.rejects(store.createKey(bad as KeyOwner), TypeError, bad);
      await assert.rejects(store.destroyKey(bad as KeyOwner), TypeError, bad);
    }
    const keyOfA = await readFile(join(folder, 'tenants', a, '1.key'));
    await writeFile(join(folder, 'tenants', a, '2.key'), keyOfA);
    await assert.rejects(store.currentKey(a), damaged);
    await writeFile(join(folder, 'clusters', cluster, '1.key'), keyOfA);
    await assert.rejects(store.openKey(`${cluster}.1`), damaged);
    await rm(join(folder, 'tenants', b, '1.key'));
    await assert.rejects(store.openKey(`${b}.1`), damaged);
    await assert.rejects(store.deriveTenantKey(b as never, 'files'), damaged);
    await rename(join(folder, 'root.key'), join(folder, 'root.key.away'));
    await assert.rejects(openKeyStore(folder), damaged);
  }));

test('killed while a key is made or rotated: the version is whole or not there, the older ones stay', () =>
  withFolder(async (folder) => {
    for (const point of ['keys.file.written', 'keys.file.named'])
      for (const owner of ownersOf().slice(2)) {
        await openKeyStore(folder);
        const created = point === 'keys.file.named';
        runAndDie(folder, `${point}=kill`, `await store.createKey('${owner}')`);
        let store = await openKeyStore(folder);
        const keyIds = (await Array.fromAsync(store.keyIds())).filter((keyId) => keyId.startsWith(owner));
        assert.deepEqual(keyIds, created ? [`${owner}.1`] : []);
        await store.createKey(owner);
        const first = await store.currentKey(owner);
        runAndDie(folder, `${point}=kill`, `await store.rotateKey('${owner}')`);
        store = await openKeyStore(folder);
        assert.deepEqual(await store.openKey(first.keyId), first);
        assert.equal((await store.currentKey(owner)).keyId, `${owner}.${created ? 2 : 1}`);
        assert.equal(await store.rotateKey(owner), `${owner}.${created ? 3 : 2}`);
        assert.ok((await readdir(folderOf(folder, owner))).every((name) => name.endsWith('.key')));
        await rm(folderOf(folder, owner), { recursive: true });
      }
  }));

test('killed while a key of several versions is destroyed: all there before the record, all gone after it', () =>
  withFolder(async (folder) => {
    for (const owner of ownersOf().slice(2))
      for (const point of [
        'keys.file.written',
        'keys.file.named',
        'keys.destroy.named',
        'keys.destroy.overwritten',
        'keys.destroy.overwritten=kill@2',
      ]) {
        await rm(folder, { recursive: true, force: true });
        const before = await openKeyStore(folder);
        await before.createKey(owner);
        await before.rotateKey(owner);
        runAndDie(folder, point.includes('=') ? point : `${point}=kill`, `await store.destroyKey('${owner}')`);
        const store = await openKeyStore(folder);
        const isRecorded = point !== 'keys.file.written';
        assert.deepEqual(await store.destroyedOwners(), isRecorded ? [owner] : [], point);
        assert.equal((await Array.fromAsync(store.keyIds())).length, isRecorded ? 0 : 2, point);
        await store.destroyKey(owner);
        await assert.rejects(store.openKey(`${owner}.1`), gone);
        assert.deepEqual(await readdir(join(folder, 'destroyed')), [owner]);
        const left = (await readdir(folder, { recursive: true })).filter((name) => name.includes(owner));
        assert.deepEqual(left, [`destroyed/${owner}`]);
      }
  }));
