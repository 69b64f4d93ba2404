/** Broken archives for tests: taken apart and put together wrongly. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import type { Manifest } from './index.ts';

export interface Parts {
  manifest: Manifest & Record<string, unknown>;
  members: { name: string; content: Buffer; type?: 'file' | 'symlink' | 'directory' }[];
}
/** An archive taken apart, to be put together wrongly. */
export function takeApart(bytes: Buffer): Parts {
  const members: Parts['members'] = [];
  for (let offset = 0; bytes[offset] !== 0; ) {
    const name = bytes.toString('latin1', offset, bytes.indexOf(0, offset));
    const size = Number.parseInt(bytes.toString('latin1', offset + 124, offset + 135), 8);
    members.push({ name, content: bytes.subarray(offset + 512, offset + 512 + size) });
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  return { manifest: JSON.parse(members[0]!.content.toString()), members: members.slice(1) };
}
export async function putTogether(
  { manifest, members }: Parts,
  manifestText = JSON.stringify(manifest),
): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'manifest.json' }, manifestText);
  for (const { name, content, type = 'file' } of members) {
    if (type === 'file') tar.entry({ name }, content);
    else tar.entry({ name, type, linkname: '/etc/passwd' });
  }
  tar.finalize();
  return buffer(tar);
}
/** Writes a size into a header and mends its checksum. */
function setSize(bytes: Buffer, header: number, size: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  size.copy(copy, header + 124);
  copy.write('        ', header + 148, 'latin1');
  const sum = copy.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, header + 148, 'latin1');
  return copy;
}
export const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');
const octal = (size: number) => Buffer.from(`${size.toString(8).padStart(11, '0')}\0`);
const change = (work: (parts: Parts) => void, text?: (manifest: string) => string) => async (bytes: Buffer) => {
  const parts = takeApart(bytes);
  work(parts);
  return putTogether(parts, text?.(JSON.stringify(parts.manifest)));
};
const renameFile = (name: string) =>
  change(({ members, manifest }) => {
    members[1]!.name = name;
    (manifest.members[1] as { name: string }).name = name;
  });

/** What an archive may be instead of whole: each is made from a good one. */
export const brokenArchives: Record<string, (archive: Buffer) => Promise<Buffer>> = {
  'nothing at all': async () => Buffer.alloc(0),
  'not an archive': async () => Buffer.from('PK\u0003\u0004'.repeat(1000)),
  'only zeros': async () => Buffer.alloc(10_240),
  'cut in the middle of a file': async (archive) => archive.subarray(0, 5_000),
  'cut between two members': async (archive) => {
    const bytes = Buffer.from(archive);
    return Buffer.concat([bytes.subarray(0, bytes.length - 3 * 1024), Buffer.alloc(1024)]);
  },
  'without its end': async (archive) => archive.subarray(0, archive.length - 1024),
  'one bit of the dump flipped': async (archive) => {
    const bytes = Buffer.from(archive);
    const at = bytes.indexOf('PGDMP') + 3_000;
    bytes[at]! ^= 1;
    return bytes;
  },
  'one bit of a file flipped': async (archive) => {
    const bytes = Buffer.from(archive);
    bytes[bytes.lastIndexOf('file of acme')]! ^= 1;
    return bytes;
  },
  'a header of 8 EiB': async (archive) => {
    const bytes = Buffer.from(archive);
    const dump = bytes.indexOf('database.dump\0');
    return setSize(bytes, dump, Buffer.from([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
  },
  'a header of 8 GiB': async (archive) => {
    const bytes = Buffer.from(archive);
    return setSize(bytes, bytes.indexOf('database.dump\0'), octal(8 * 1024 ** 3 - 1));
  },
  'a negative size': async (archive) => {
    const bytes = Buffer.from(archive);
    return setSize(bytes, bytes.indexOf('database.dump\0'), Buffer.alloc(12, 0xff));
  },
  'a manifest of a gigabyte': async (archive) => setSize(archive, 0, octal(1024 ** 3)),
  'a header whose checksum is wrong': async (archive) => {
    const bytes = Buffer.from(archive);
    bytes[bytes.indexOf('database.dump\0') + 100]! ^= 1;
    return bytes;
  },
  'an extended header': async () => {
    const tar = pack();
    tar.entry({ name: 'manifest.json', pax: { path: '../../etc/passwd' } }, '{}');
    tar.finalize();
    return buffer(tar);
  },
  'a member above its folder': renameFile('../../evil'),
  'a member with an absolute path': renameFile('/etc/cron.d/evil'),
  'a member of a folder of its own': renameFile('files/sub/evil'),
  'a member that is a link': change(({ members }) => {
    members[1]!.type = 'symlink';
  }),
  'a member that is a folder': change(({ members }) => {
    members[1]!.type = 'directory';
  }),
  'a member that the manifest does not name': change(({ members }) => {
    members.push({ name: 'extra', content: Buffer.from('x') });
  }),
  'a member twice': change(({ members, manifest }) => {
    members.push(members.at(-1)!);
    (manifest.members as unknown[]).push(manifest.members.at(-1));
  }),
  'a member missing': change(({ members }) => {
    members.pop();
  }),
  'the members in another order': change(({ members }) => {
    members.reverse();
  }),
  'a wrong checksum of the dump': change(({ manifest }) => {
    (manifest.members[0] as { sha256: string }).sha256 = '0'.repeat(64);
  }),
  'a file under the name of another content': change(({ manifest }) => {
    (manifest.members[1] as { sha256: string }).sha256 = '0'.repeat(64);
  }),
  'a size that is not the size': change(({ manifest }) => {
    (manifest.members[0] as { sizeBytes: number }).sizeBytes += 1;
  }),
  'no dump': change(({ manifest, members }) => {
    members.shift();
    (manifest.members as unknown[]).shift();
  }),
  '__proto__ in the manifest': change(
    () => {},
    (text) => text.replace('{', '{"__proto__":{"admin":true},'),
  ),
  '__proto__ deep in the manifest': change(
    () => {},
    (text) => text.replace('"tenant":{', '"tenant":{"__proto__":{"name":"x"},'),
  ),
  'an unknown field in the manifest': change(({ manifest }) => {
    manifest.extra = 1;
  }),
  'a manifest that is no JSON': change(
    () => {},
    () => '{"format"',
  ),
  'a manifest that is a list': change(
    () => {},
    () => '[]',
  ),
  'a name that would be a path': change(({ manifest }) => {
    (manifest.app as { name: string }).name = '../../app';
  }),
  'a dump that is none': change(({ manifest, members }) => {
    members[0]!.content = Buffer.from('PGDMP and then nothing');
    Object.assign(manifest.members[0]!, { sizeBytes: 22, sha256: sha256(members[0]!.content) });
  }),
};
