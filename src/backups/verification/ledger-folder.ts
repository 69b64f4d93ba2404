import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoint, parseLsn, randomName } from '#src/kernel/index.ts';
import { openObjectBytes, sealObjectBytes } from '#src/keys/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RowLedger } from './types.ts';

/** Ledgers of the past, one sealed file each, in a folder of control's own: apart from PostgreSQL, its WAL and the regions. */
export interface LedgerFolder {
  /** Durable when it resolves. */
  add(ledger: RowLedger): Promise<void>;
  /** The first that was taken behind this place on this timeline; undefined: none. */
  findAfter(timeline: number, lsn: string): Promise<RowLedger | undefined>;
  /** Removes those that were taken before. */
  removeBefore(time: Date): Promise<void>;
}

const fileName = /^(\d{13})-[0-9a-z]{8}\.ledger$/;
const temporary = '.part';

export async function openLedgerFolder(
  folder: string,
  keys: Pick<BackupKeys, 'currentKey' | 'openKey'>,
): Promise<LedgerFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) if (name.endsWith(temporary)) await rm(join(folder, name), { force: true });
  const names = async () => (await readdir(folder)).filter((name) => fileName.test(name)).sort();

  async function read(name: string): Promise<RowLedger | undefined> {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (!bytes) return undefined;
    const { content } = await openObjectBytes(bytes, {
      expect: { kind: 'ledger' },
      findKey: async (keyId) => (await keys.openKey(keyId)).key,
    });
    const ledger = JSON.parse(content.toString('utf8')) as RowLedger;
    return ledger.format === 1 ? ledger : undefined;
  }

  return {
    async add(ledger) {
      const { key, keyId } = await keys.currentKey(ledger.clusterId);
      const header = { kind: 'ledger', keyId, cluster: ledger.clusterId, lsn: ledger.lsn } as const;
      // Who could not be read and what was turned off is told now, and may well be mended when this is used again.
      const { unread: _, unsafeSettings: __, ...kept } = ledger;
      const sealed = await sealObjectBytes(key, header, Buffer.from(JSON.stringify(kept)));
      const takenAtMs = String(Date.parse(ledger.takenAt)).padStart(13, '0');
      const path = join(folder, `${takenAtMs}-${randomName(8)}.ledger`);
      const file = await open(path + temporary, 'wx', 0o600);
      try {
        await file.writeFile(sealed);
        await file.sync();
      } finally {
        await file.close();
      }
      await failpoint('backups.verification.ledger_written');
      await rename(path + temporary, path);
      const parent = await open(folder, 'r');
      await parent.sync().finally(() => parent.close());
    },
    async findAfter(timeline, lsn) {
      for (const name of await names()) {
        const ledger = await read(name).catch(() => undefined);
        if (ledger && ledger.timeline === timeline && parseLsn(ledger.lsn) > parseLsn(lsn)) return ledger;
      }
      return undefined;
    },
    async removeBefore(time) {
      for (const name of await names())
        if (Number(fileName.exec(name)![1]) < time.getTime()) await rm(join(folder, name), { force: true });
    },
  };
}
