/** Whoever holds one key may seal whatever he likes with it. What he makes must not pass for an object of another owner. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { lsnName, newId, randomBytes } from '#src/kernel/index.ts';
import { type KeyId, sealObjectBytes } from '#src/keys/index.ts';
import { createDiskRegion } from '#src/objects/index.ts';
import { findManifest, manifestName } from './base/index.ts';
import { createCatalogueReader } from './catalogue/index.ts';
import { chunkName, openHistory, openWal } from './shipping/wal-objects.ts';

const clusterId = newId('clu');
const backupId = newId('bak');
const tenantKey = { keyId: `${newId('ten')}.1` as KeyId, key: randomBytes(32) };
/** Opens everything: the key store knows the tenant's key as well. */
const openKey = async (keyId: KeyId) => ({ keyId, key: tenantKey.key });
const findKey = async () => tenantKey.key;
const refused = { code: 'FH_KEY_UNSEAL' };

test('a manifest, WAL, a history and a header sealed under a tenant key are not those of the cluster', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'fh-forged-'));
  t.after(() => rm(root, { recursive: true }));
  const region = createDiskRegion({ region: 'north', root, initialise: true });
  const { key, keyId } = tenantKey;
  const seal = (header: object, content: Uint8Array) => sealObjectBytes(key, { keyId, ...header } as never, content);

  const manifest = await seal({ kind: 'manifest', clusterId, backupId }, Buffer.from('{}'));
  await region.put(manifestName(clusterId, backupId), manifest);
  await assert.rejects(findManifest(region, { clusterId, backupId }, openKey), refused);

  const place = { timeline: 1, start: 0x1000000n };
  const wal = { kind: 'wal', cluster: clusterId, timeline: 1, start: lsnName(place.start), compression: 'zstd' };
  const chunk = await seal({ ...wal, end: lsnName(place.start + 8n) }, zstdCompressSync(Buffer.alloc(8)));
  await assert.rejects(openWal('wal', { clusterId, findKey }, place, chunk), refused);

  const history = await seal({ kind: 'history', cluster: clusterId, timeline: 2 }, Buffer.from('1\t0/1\tno\n'));
  await assert.rejects(openHistory({ clusterId, findKey }, 2, history), refused);

  const name = chunkName(clusterId, place);
  await region.put(name, chunk);
  const reader = createCatalogueReader(region, { openKey });
  const { compression: _, ...expect } = wal;
  await assert.rejects(reader.openHeader(name, expect as never), refused);
});
