import type { Readable } from 'node:stream';
import type { TenantDb } from '#src/databases/types.ts';
import { failpoint, type TenantId } from '#src/kernel/index.ts';
import { openSealedStream, sealStream } from '#src/keys/index.ts';
import { createDiskStore, type ObjectName } from '#src/objects/index.ts';
import { measure, verify } from './content.ts';
import { filesErrors } from './errors.ts';
import { objectNameOf } from './names.ts';
import { lockForSweep, selectContents } from './sql.ts';
import { checkedTenant, type FilesDeps, sealContextOf } from './tenant-files.ts';

/** One content of a tenant, unsealed; several files may share it. */
export interface FileContent {
  readonly sha256: string;
  readonly content: AsyncIterable<Uint8Array>;
}

/** A tenant's files as a whole, for export, import, clone, deletion and cleaning. Rows travel with the database. */
export interface FileVault {
  /**
   * Every content that a row refers to, once; or the contents named, for example those of a snapshot: they stay for a day
   * after their last row. Each must be read (or given up) before the next. FH_FILE_DAMAGED when one is missing.
   */
  readAll(tenantId: TenantId, sha256s?: Iterable<string>): AsyncIterable<FileContent>;
  /** Stores content whose rows are there already or will come; FH_FILE_DAMAGED unless it has this SHA-256. Idempotent. */
  importFile(tenantId: TenantId, sha256: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Seals every content of `from` for `to`, whose database holds the same rows. Idempotent. @returns how many */
  copyTenantFiles(from: TenantId, to: TenantId): Promise<number>;
  /** Contents that a row refers to and that are not there. */
  findMissing(tenantId: TenantId): Promise<string[]>;
  /** Removes everything of the tenant; needs neither database nor key. Idempotent. */
  removeTenantFiles(tenantId: TenantId): Promise<void>;
  /** Removes objects no row refers to and left-over staged bytes, both older than `minAgeMs` (default 24 h). @returns how many */
  sweep(tenantId: TenantId, minAgeMs?: number): Promise<number>;
  /** Of these objects of the tenant, in the vault once or still: those that are not there any more and that no row refers to. */
  findUnneeded(tenantId: TenantId, names: readonly ObjectName[]): Promise<ObjectName[]>;
}

const pageSize = 500;
const dayMs = 24 * 60 * 60 * 1_000;

export interface FileVaultDeps extends FilesDeps {
  /** Where content may be that is not here any more, sealed as it was here; for `readAll`. */
  readonly openElsewhere?: (name: ObjectName) => Promise<Readable | undefined>;
  /** Told by the sweep, before it removes them and while no row can come to refer to them: copies elsewhere are needed only for moments until now. */
  readonly onUnreferenced?: (tenantId: TenantId, names: readonly ObjectName[]) => Promise<void>;
}

export async function createFileVault({
  root,
  databases,
  filesKeyOf,
  clock,
  openElsewhere,
  onUnreferenced,
}: FileVaultDeps): Promise<FileVault> {
  const store = await createDiskStore(root);

  async function unusedOf(db: TenantDb, tenantId: TenantId, key: Uint8Array, names: string[]): Promise<string[]> {
    const unused = new Set(names);
    for (let last = ''; unused.size > 0; ) {
      const page = await selectContents(db, last, pageSize);
      for (const sha256 of page) unused.delete(objectNameOf(tenantId, key, sha256));
      if (page.length < pageSize) break;
      last = page.at(-1)!;
    }
    return [...unused];
  }

  /** A page at a time, so that no lease is held while content is read. */
  async function* contentsOf(tenantId: TenantId): AsyncIterable<string> {
    for (let last = ''; ; ) {
      const page = await databases.platform.read(tenantId, (db) => selectContents(db, last, pageSize));
      yield* page;
      if (page.length < pageSize) return;
      last = page.at(-1)!;
    }
  }

  async function* readAll(
    tenantId: TenantId,
    sha256s?: Iterable<string> | AsyncIterable<string>,
  ): AsyncIterable<FileContent> {
    const key = await filesKeyOf(checkedTenant(tenantId));
    for await (const sha256 of sha256s ?? contentsOf(tenantId)) {
      const name = objectNameOf(tenantId, key, sha256);
      const sealed = (await store.open(name)) ?? (await openElsewhere?.(name));
      if (!sealed) throw filesErrors.FH_FILE_DAMAGED({ detail: `content ${sha256} is missing` });
      try {
        yield { sha256, content: verify(openSealedStream(key, sealContextOf(tenantId))(sealed), sha256) };
      } finally {
        sealed.destroy();
      }
    }
  }

  async function importFile(tenantId: TenantId, sha256: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const key = await filesKeyOf(checkedTenant(tenantId));
    const measured = measure(content, Number.POSITIVE_INFINITY);
    const staged = await store.stage(sealStream(key, sealContextOf(tenantId))(measured.content));
    try {
      if (measured.result().sha256 !== sha256) throw filesErrors.FH_FILE_DAMAGED({ detail: `content ${sha256}` });
      await staged.publish(objectNameOf(tenantId, key, sha256));
    } finally {
      await staged.discard();
    }
  }

  return {
    readAll,
    importFile,
    async copyTenantFiles(from, to) {
      let copied = 0;
      const key = await filesKeyOf(checkedTenant(to));
      // By the rows of the copy: the original may be suspended, and older.
      for await (const { sha256, content } of readAll(from, contentsOf(to))) {
        if (!(await store.has(objectNameOf(to, key, sha256)))) await importFile(to, sha256, content);
        copied++;
      }
      return copied;
    },
    async findMissing(tenantId) {
      const key = await filesKeyOf(checkedTenant(tenantId));
      const missing: string[] = [];
      for await (const sha256 of contentsOf(tenantId)) {
        if (!(await store.has(objectNameOf(tenantId, key, sha256)))) missing.push(sha256);
      }
      return missing;
    },
    removeTenantFiles: (tenantId) => store.removeAll(checkedTenant(tenantId)),
    async sweep(tenantId, minAgeMs = dayMs) {
      const before = new Date(clock.now() - minAgeMs);
      await store.removeStaged(before);
      const key = await filesKeyOf(checkedTenant(tenantId));
      const old: string[] = [];
      for await (const object of store.list(tenantId)) if (object.createdAt < before) old.push(object.name);
      const candidates = await databases.platform.read(tenantId, (db) => unusedOf(db, tenantId, key, old));
      if (candidates.length === 0) return 0;
      // Under the lock no row can appear for an object found unreferenced: `put` publishes and inserts under its own.
      return databases.platform.transact(tenantId, async (db) => {
        await lockForSweep(db);
        const unused = await unusedOf(db, tenantId, key, candidates);
        if (unused.length > 0) await onUnreferenced?.(tenantId, unused);
        await failpoint('files.sweep.recorded');
        for (const name of unused) await store.remove(name);
        return unused.length;
      });
    },
    async findUnneeded(tenantId, names) {
      const key = await filesKeyOf(checkedTenant(tenantId));
      const gone: ObjectName[] = [];
      for (const name of names) if (!(await store.has(name))) gone.push(name);
      if (gone.length === 0) return [];
      return databases.platform.read(tenantId, (db) => unusedOf(db, tenantId, key, gone));
    },
  };
}
