import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { openKeyStore } from './store.ts';

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-keys-'));
  try {
    await use(join(folder, 'keys'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs statements against the store in another process, with failpoints, and gives the signal or code it ended with. */
function runInProcess(folder: string, failpoints: string, statements: string): string | number | null {
  const code = `
    import { armFailpoints } from '#src/kernel/index.ts';
    import { openKeyStore } from '#src/keys/index.ts';
    const store = await openKeyStore(${JSON.stringify(folder)});
    armFailpoints(${JSON.stringify(failpoints)});
    ${statements}`;
  const ended = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' });
  return ended.signal ?? ended.status;
}

test('keys are stable over a restart and differ by tenant, purpose and installation', () =>
  withFolder(async (folder) => {
    const [a, b] = [newId('ten'), newId('ten')];
    const store = await openKeyStore(folder);
    await store.createTenantKey(a);
    await store.createTenantKey(b);
    const keys = [
      await store.deriveTenantKey(a, 'files'),
      await store.deriveTenantKey(a, 'session-cookie'),
      await store.deriveTenantKey(b, 'files'),
      await store.deriveInstallationKey('staff-session'),
      await store.deriveInstallationKey('document-signing'),
    ];
    assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, keys.length);
    await store.createTenantKey(a);
    const reopened = await openKeyStore(folder);
    assert.deepEqual(await reopened.deriveTenantKey(a, 'files'), keys[0]);
    assert.deepEqual(await reopened.deriveInstallationKey('staff-session'), keys[3]);
  }));

test('files are private, and none holds a key in clear', () =>
  withFolder(async (folder) => {
    const tenantId = newId('ten');
    const store = await openKeyStore(folder);
    await store.createTenantKey(tenantId);
    for (const entry of await readdir(folder, { recursive: true })) {
      const found = await stat(join(folder, entry));
      assert.equal(found.mode & 0o777, found.isDirectory() ? 0o700 : 0o600, entry);
    }
    assert.equal((await readFile(join(folder, 'root.key'))).length, 32);
    assert.equal((await readFile(join(folder, 'tenants', tenantId, '1.key'))).length, 61);
  }));

test('a destroyed key is gone for its tenant only', () =>
  withFolder(async (folder) => {
    const [a, b] = [newId('ten'), newId('ten')];
    const store = await openKeyStore(folder);
    await store.createTenantKey(a);
    await store.createTenantKey(b);
    await store.destroyTenantKey(a);
    await store.destroyTenantKey(a);
    assert.equal(await store.hasTenantKey(a), false);
    assert.equal(await store.hasTenantKey(b), true);
    await assert.rejects(store.deriveTenantKey(a, 'files'), { code: 'FH_KEY_DESTROYED' });
    await assert.rejects(store.deriveTenantKey(newId('ten'), 'files'), { code: 'FH_KEY_DESTROYED' });
    assert.deepEqual(await readdir(join(folder, 'tenants')), [b]);
  }));

test('many makers at once agree on one root key and one tenant key', () =>
  withFolder(async (folder) => {
    const tenantId = newId('ten');
    // Opening removes what a crash left half-written, so it belongs to whoever leads; only making may race.
    const stores = await Promise.all(Array.from({ length: 20 }, () => openKeyStore(folder)));
    const keys = await Promise.all(
      stores.map(async (store) => {
        await store.createTenantKey(tenantId);
        return (await store.deriveTenantKey(tenantId, 'files')).toString('hex');
      }),
    );
    assert.equal(new Set(keys).size, 1);
  }));

test('a key file moved to another tenant, version or store is refused', () =>
  withFolder(async (folder) => {
    const [a, b] = [newId('ten'), newId('ten')];
    const store = await openKeyStore(folder);
    await store.createTenantKey(a);
    await store.createTenantKey(b);
    const keyA = await readFile(join(folder, 'tenants', a, '1.key'));
    const damaged = { code: 'FH_KEY_STORE_DAMAGED' };
    await writeFile(join(folder, 'tenants', b, '1.key'), keyA);
    await assert.rejects(store.deriveTenantKey(b, 'files'), damaged);
    await rename(join(folder, 'tenants', a, '1.key'), join(folder, 'tenants', a, '2.key'));
    await assert.rejects(store.deriveTenantKey(a, 'files'), damaged);
    await writeFile(join(folder, 'tenants', a, '2.key'), keyA.subarray(0, 10));
    await assert.rejects(store.deriveTenantKey(a, 'files'), damaged);
    await rm(join(folder, 'root.key'));
    await assert.rejects(openKeyStore(folder), damaged);
  }));

test('a store that others may read is not opened', () =>
  withFolder(async (folder) => {
    await openKeyStore(folder);
    const unsafe = { code: 'FH_KEY_STORE_UNSAFE' };
    await chmod(join(folder, 'root.key'), 0o640);
    await assert.rejects(openKeyStore(folder), unsafe);
    await chmod(join(folder, 'root.key'), 0o600);
    await chmod(folder, 0o750);
    await assert.rejects(openKeyStore(folder), unsafe);
    await chmod(folder, 0o700);
    await openKeyStore(folder);
  }));

test('only a tenant id becomes a path', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(folder);
    for (const bad of ['../../etc', 'ten_..', '', `usr_${'0'.repeat(26)}`])
      await assert.rejects(store.createTenantKey(bad as never), TypeError);
  }));

test('killed while a key is made: nothing or all of it is there, and making it again works', () =>
  withFolder(async (folder) => {
    for (const point of ['keys.file.written', 'keys.file.named']) {
      const tenantId = newId('ten');
      await openKeyStore(folder);
      const ended = runInProcess(folder, `${point}=kill`, `await store.createTenantKey('${tenantId}')`);
      assert.equal(ended, 'SIGKILL', point);
      const store = await openKeyStore(folder);
      assert.equal(await store.hasTenantKey(tenantId), point === 'keys.file.named');
      await store.createTenantKey(tenantId);
      await store.deriveTenantKey(tenantId, 'files');
      assert.deepEqual(await readdir(join(folder, 'tenants', tenantId)), ['1.key']);
    }
  }));

test('killed while a key is destroyed: it is unusable at once, and the next start removes the rest', () =>
  withFolder(async (folder) => {
    for (const point of ['keys.destroy.named', 'keys.destroy.overwritten']) {
      const tenantId = newId('ten');
      await (await openKeyStore(folder)).createTenantKey(tenantId);
      assert.equal(runInProcess(folder, `${point}=kill`, `await store.destroyTenantKey('${tenantId}')`), 'SIGKILL');
      assert.ok((await readdir(join(folder, 'tenants', tenantId))).every((name) => name.endsWith('.destroyed')));
      const store = await openKeyStore(folder);
      assert.equal(await store.hasTenantKey(tenantId), false);
      assert.deepEqual(await readdir(join(folder, 'tenants')), []);
    }
  }));
