import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { FileFacts } from './file-sets.ts';
import { createPostgresManifestReader, parseBackupLabel } from './postgres-manifest.ts';

const sha256 = createHash('sha256').update('x').digest('hex');
/** As PostgreSQL 15 writes it. */
const body = `{ "PostgreSQL-Backup-Manifest-Version": 1,
"Files": [
{ "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-22 02:50:30 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" },
{ "Path": "base/5/1259", "Size": 98304, "Last-Modified": "2026-11-22 02:50:30 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
],
`;
const seal = (text: string) => `${text}"Manifest-Checksum": "${createHash('sha256').update(text).digest('hex')}"}\n`;

function read(text: string, pieceBytes = text.length) {
  const files: FileFacts[] = [];
  const reader = createPostgresManifestReader((file) => files.push(file));
  for (let at = 0; at < text.length; at += pieceBytes) reader.write(Buffer.from(text.slice(at, at + pieceBytes)));
  return { ranges: reader.end(), files };
}

test('files and WAL, wherever the text is cut', () => {
  for (const pieceBytes of [1, 7, 100, 10_000]) {
    const { ranges, files } = read(seal(body), pieceBytes);
    assert.deepEqual(ranges, [{ timeline: 1, startLsn: '0/2000028', endLsn: '0/2000100' }]);
    assert.deepEqual(files, [
      { path: 'backup_label', sizeBytes: 225, sha256 },
      { path: 'base/5/1259', sizeBytes: 98_304, sha256 },
    ]);
  }
  const later = body.replace('Version": 1,', 'Version": 2,\n"System-Identifier": 7412345678901234567,');
  assert.equal(read(seal(later)).files.length, 2);
});

for (const [what, text] of [
  ['a changed byte', seal(body).replace('98304', '98305')],
  ['a manifest that is cut', seal(body).slice(0, -80)],
  ['no manifest', ''],
  ['a file without checksum', seal(body.replace(/"SHA256", "Checksum": "[0-9a-f]+" \}\n/, '"NONE" }\n'))],
  ['another version', seal(body.replace('Version": 1', 'Version": 3'))],
  ['something unknown', seal(body.replace('"Files"', '"Folders"'))],
  ['no WAL', seal(body.replace(/\{ "Timeline.*\n/, ''))],
  ['something behind the checksum', `${seal(body)}x\n`],
] as const) {
  test(`refuses ${what}`, () => assert.throws(() => read(text), { code: 'FH_BASE_BACKUP_MISMATCH' }));
}

test('where replay begins', () => {
  const label = `START WAL LOCATION: 16/B374D848 (file 000000010000001600000003)
CHECKPOINT LOCATION: 16/B374D880
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-22 02:50:30 GMT
LABEL: freehold bak_0
START TIMELINE: 3
`;
  assert.deepEqual(parseBackupLabel(label), { startLsn: '16/B374D848', timeline: 3 });
  assert.throws(() => parseBackupLabel('LABEL: x'), { code: 'FH_BASE_BACKUP_MISMATCH' });
});
