/** Files: the same id is another file at the other tenant, and bytes on the disk open with their tenant's key alone. */
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSealedStream } from '#src/keys/index.ts';
import { foldersOf } from '#src/main/folders.ts';
import type { Side } from '../side.ts';
import { otherOf, type World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeFiles(world: World): Promise<void> {
  await probeDownloads(world);
  await probeIds(world);
  await probeDisk(world);
}

/** Alternately at both tenants, through every worker: whatever is remembered must be remembered for one tenant. */
async function probeDownloads({ report, a, b }: World): Promise<void> {
  const path = (side: Side) => `/api/attachments/${side.shared.attachment}/content`;
  await b.throughEveryDoor(async (door) => {
    for (const side of [a, b, a, b]) {
      const answer = await side.send('GET', path(side), { as: side.people.member, door });
      const name = String(answer.headers['content-disposition']);
      report.check('a shared id has its own name', name.includes(`${side.label}File`), `${describe(answer)} ${name}`);
    }
  });
  for (const side of [a, b]) {
    const other = side === a ? b : a;
    const foreign = await other.must('GET', `/api/attachments/${other.own.attachment}/content`);
    const etag = String(foreign.headers.etag);
    const conditions: readonly Record<string, string>[] = [
      { 'if-none-match': etag },
      { 'if-none-match': '*' },
      { 'if-match': etag },
      { 'if-range': etag, range: 'bytes=0-3' },
      { range: 'bytes=0-1000000' },
      { 'if-modified-since': 'Fri, 01 Jan 2100 00:00:00 GMT' },
    ];
    for (const headers of conditions) {
      for (const target of [path(side), '/api/items', '/api/me']) {
        const answer = await side.send('GET', target, { as: side.people.member, headers });
        const isFull = answer.status === 200 && answer.body.length > 0;
        report.check(`${Object.keys(headers)} of the other's file`, isFull, `${target}: ${describe(answer)}`);
      }
    }
  }
}

async function probeIds(world: World): Promise<void> {
  const { report, internals } = world;
  for (const side of [world.a, world.b]) {
    const other = otherOf(world, side);
    const connection = await internals.connect(other.tenantId, 'platform');
    const rows = await connection.query<{ file_id: string; sha256: string }>(
      `SELECT file_id, encode(sha256, 'hex') AS sha256 FROM freehold.files ORDER BY created_at DESC LIMIT 3`,
    );
    await connection.close();
    const guesses = rows.flatMap(({ file_id, sha256 }) => [
      `/api/attachments/${file_id}/content`,
      `/api/attachments/${sha256}/content`,
      `/api/files/${file_id}`,
      `/files/${other.tenantId}/${sha256.slice(0, 2)}/${sha256}`,
      `/api/attachments/..%2f..%2f${other.tenantId}%2f${sha256}/content`,
    ]);
    for (const path of guesses) {
      const answer = await side.send('GET', path, { as: side.people.owner });
      report.check("file ids of the other tenant's storage", [400, 404].includes(answer.status), describe(answer));
    }
  }
}

async function probeDisk({ report, internals, product, a, b }: World): Promise<void> {
  const root = foldersOf(product.dataDir).files;
  const objects = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const keys = new Map<Side, Uint8Array>();
  for (const side of [a, b]) keys.set(side, (await internals.accessOf(side.tenantId)).filesKey);
  const objectsOf = (side: Side) => objects.filter((path) => path.startsWith(join(root, side.tenantId, '/')));
  const names = (side: Side) => new Set(objectsOf(side).map((path) => path.split('/').at(-1)!));
  report.check(
    'every object lies in the folder of its tenant',
    objects.length === objectsOf(a).length + objectsOf(b).length,
  );
  for (const side of [a, b]) {
    const other = side === a ? b : a;
    report.check('there are files to look at', objectsOf(side).length >= 3, String(objectsOf(side).length));
    const common = [...names(side)].filter((name) => names(other).has(name));
    report.check('equal content has different names', common.length === 0, common.join(', '));
    for (const path of objectsOf(side)) {
      const opens = (key: Uint8Array, tenantId: string) => canOpen(path, key, `files:${tenantId}`);
      report.check("a file opens with its tenant's key", await opens(keys.get(side)!, side.tenantId), path);
      report.check("not with the other's", !(await opens(keys.get(other)!, side.tenantId)), path);
      report.check('not for the other tenant', !(await opens(keys.get(side)!, other.tenantId)), path);
      const bytes = readFileSync(path).toString('latin1');
      const plain = [...side.markers, 'content that both have'].find((marker) => bytes.includes(marker));
      report.check('nothing can be read in it', plain === undefined, plain);
    }
  }
}

async function canOpen(path: string, key: Uint8Array, context: string): Promise<boolean> {
  try {
    for await (const _ of openSealedStream(key, context)(createReadStream(path)));
    return true;
  } catch {
    return false;
  }
}
