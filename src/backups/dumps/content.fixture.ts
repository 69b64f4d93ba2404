/** For tests: what a database holds, told by a statement per table. */
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createScratchFolder, startEmptyServer } from '#src/clusters/index.ts';
import { formatLsn, silentLog, systemClock } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { readFlushedPlace } from '#src/postgres/index.ts';
import type { TestTenant, World } from '../base/world.fixture.ts';
import type { ContentPort, DumpedContent, DumpOptions, VerifyDumpOptions } from './index.ts';

export const testContent: ContentPort = {
  settings: { statement_timeout: '0', timezone: 'UTC' },
  withoutRows: ['app.secrets'],
  async read(db) {
    const names = await db.query<{ name: string }>(
      `SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname = 'app' AND tablename <> 'secrets' ORDER BY 1`,
    );
    const tables: DumpedContent['tables'][number][] = [];
    for (const { name } of names) {
      const [row] = await db.query<{ rows: number; hash: string }>(
        `SELECT count(*)::int AS rows, encode(sha256(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')::bytea), 'hex') AS hash FROM ${name} t`,
      );
      tables.push({ name, rows: row!.rows, sha256: row!.hash });
    }
    return { sha256: createHash('sha256').update(JSON.stringify(tables)).digest('hex'), tables };
  },
};

/** A dump of this tenant from the world's own server. */
export async function dumpOptions(
  world: World,
  tenant: TestTenant,
  regions: readonly RegionStore[],
): Promise<Omit<DumpOptions, 'signal'>> {
  const { lsn } = await readFlushedPlace(world.control);
  return {
    clusterId: world.clusterId,
    tenantId: tenant.tenantId,
    sources: [{ server: 'primary', target: { ...world.own.control, database: tenant.database } }],
    writtenLsn: formatLsn(lsn),
    regions,
    keys: world.keys,
    content: testContent,
    binaries: world.own.cluster.options.binaries,
    log: silentLog,
    clock: systemClock,
  };
}

export type VerifyParts = Pick<VerifyDumpOptions, 'server' | 'binaries' | 'keys' | 'content' | 'clock'>;

/** A scratch server of the test's own. */
export async function startScratch(world: World): Promise<{ parts: VerifyParts; remove(): Promise<void> }> {
  const parent = await makeScratchParent(world);
  const folder = await createScratchFolder(parent, world.own.osUser);
  const { binaries } = world.own.cluster.options;
  const server = await startEmptyServer({ folder, binaries, log: silentLog });
  return {
    parts: { server, binaries, keys: world.keys, content: testContent, clock: systemClock },
    async remove() {
      await server.stop();
      await folder.remove();
    },
  };
}

export async function makeScratchParent({ own }: World): Promise<string> {
  const parent = path.join(own.folder, 'scratch');
  await mkdir(parent, { recursive: true });
  await chmod(parent, 0o711);
  if (own.osUser) await chown(parent, own.osUser.uid, own.osUser.gid);
  return parent;
}
