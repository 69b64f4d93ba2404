import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { type ClusterId, newId, randomBytes, silentLog, waitFor } from '#src/kernel/index.ts';
import type { BackupKey, KeyId } from '#src/keys/types.ts';
import { connectShipperLink, createShipperLink } from './shipper-link.ts';

const patient = { deadlineMs: 60_000 };

test('a new key of the cluster reaches the shipper that runs, and one that was away meanwhile', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'freehold-link-'));
  const socketPath = path.join(folder, 'link.sock');
  const clusterId: ClusterId = newId('clu');
  const keyOf = (version: number): BackupKey => ({ keyId: `${clusterId}.${version}` as KeyId, key: randomBytes(32) });
  let current = keyOf(1);
  const startControl = async () => {
    const link = createShipperLink({
      socketPath,
      mode: 0o600,
      log: silentLog,
      port: {
        clusterId,
        currentKey: async () => current,
        openKey: async () => current,
        onNotice: async () => {},
      },
    });
    await link.start();
    return link;
  };
  let control = await startControl();
  const used: string[] = [];
  const shipper = connectShipperLink({ socketPath, log: silentLog, onKey: ({ keyId }) => used.push(keyId) });
  try {
    const begun = await shipper.begin(new AbortController().signal);
    assert.equal(begun.key.keyId, `${clusterId}.1`);
    current = keyOf(2);
    assert.equal(await control.pushKey(), 1);
    await waitFor('the new key', () => used.at(-1) === `${clusterId}.2`, patient);
    // Rotated by a control that ended before it could tell.
    await control.stop();
    current = keyOf(3);
    control = await startControl();
    await waitFor('the newest key', () => used.at(-1) === `${clusterId}.3`, patient);
  } finally {
    await shipper.close();
    await control.stop();
    await rm(folder, { recursive: true });
  }
});
