/** What docs/backup-format.md says is what is written: its reader, which shares no code with Freehold, reads a region. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { newId, randomBytes } from '#src/kernel/index.ts';
import {
  createKeyEscrow,
  type KeyOwner,
  type ObjectHeader,
  openKeyStore,
  sealObject,
  sealObjectBytes,
  sealStream,
} from '#src/keys/index.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { readObject, readRootKey, readTenantFile } from './reader.ts';

const reader = join(import.meta.dirname, 'reader.ts');
let folder: string;
let root: string;
let region: RegionStore;
let keys: Awaited<ReturnType<typeof openKeyStore>>;
let page: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-format-'));
  root = join(folder, 'region');
  await mkdir(root);
  region = createDiskRegion({ region: 'here', root, initialise: true });
  keys = await openKeyStore(join(folder, 'keys'));
  page = (await keys.createRecoveryKit(new Date('2026-11-22T00:00:00Z'))).text;
});
after(() => rm(folder, { recursive: true }));

async function publishEverything(): Promise<void> {
  await createKeyEscrow({ keys, regions: [region] }).reconcile();
}

test('every owner, every version, every length around a chunk', async () => {
  const owners: readonly KeyOwner[] = [newId('ten'), newId('ten'), newId('clu'), 'installation'];
  for (const owner of owners) {
    await keys.createKey(owner);
    await keys.rotateKey(owner);
  }
  await publishEverything();
  const rootKey = await readRootKey(root, page);
  for (const owner of owners)
    for (const version of [1, 2])
      for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
        const content = randomBytes(length);
        const { keyId, key } = await keys.openKey(`${owner}.${version}`);
        const header: ObjectHeader = { kind: 'ledger', keyId, length, last: true, what: 'Größe “ü”\n' };
        const name = `test/${owner}/${version}/${length}`;
        await region.put(name, sealObject(key, header)(Readable.from([content])));
        const read = await readObject(root, rootKey, name);
        assert.deepEqual(read.header, header);
        assert.ok(read.content.equals(content), name);
      }
});

test("a tenant's file", async () => {
  const tenantId = newId('ten');
  await keys.createTenantKey(tenantId);
  await keys.rotateKey(tenantId);
  await publishEverything();
  const content = randomBytes(100_000);
  const seal = sealStream(await keys.deriveTenantKey(tenantId, 'files'), `files:${tenantId}`);
  await region.put(`files/${tenantId}/aa/aa`, seal(Readable.from([content])));
  const read = await readTenantFile(root, await readRootKey(root, page), tenantId, `files/${tenantId}/aa/aa`);
  assert.ok(read.equals(content));
});

test('as a program of its own; without the page or the key it reads nothing', async () => {
  const [tenantId, other] = [newId('ten'), newId('ten')];
  for (const owner of [tenantId, other]) {
    await keys.createKey(owner);
    const { keyId, key } = await keys.currentKey(owner);
    const sealed = await sealObjectBytes(key, { kind: 'dump', keyId }, Buffer.from(`rows of ${owner}`));
    await region.put(`dumps/${owner}/one`, sealed);
  }
  await publishEverything();
  const pageFile = join(folder, 'page.txt');
  await writeFile(pageFile, page);
  const read = (name: string) =>
    execFileSync(process.execPath, [reader, root, pageFile, name], { encoding: 'utf8', stdio: 'pipe' });
  assert.equal(read(`dumps/${tenantId}/one`), `rows of ${tenantId}`);

  await createKeyEscrow({ keys, regions: [region] }).forget(tenantId);
  assert.throws(() => read(`dumps/${tenantId}/one`), /ENOENT/);
  assert.equal(read(`dumps/${other}/one`), `rows of ${other}`);

  const altered = await readFile(join(root, `dumps/${other}/one`));
  altered[altered.length - 1]! ^= 1;
  await region.put(`dumps/${other}/two`, altered);
  assert.throws(() => read(`dumps/${other}/two`));
  await assert.rejects(
    readRootKey(
      root,
      page.replace(/^( +1 )(.)/m, (_, front, c) => front + (c === '7' ? '8' : '7')),
    ),
    {
      message: 'group 1 is mistyped',
    },
  );
});

test('the reader imports nothing of Freehold', async () => {
  const source = await readFile(reader, 'utf8');
  const imports = [...source.matchAll(/from '([^']+)'/g)].map(([, specifier]) => specifier);
  assert.deepEqual(imports, ['node:crypto', 'node:fs/promises', 'node:path']);
});
