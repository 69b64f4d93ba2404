import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openRegion, parseRegionAddress } from './index.ts';

const s3 = { kind: 's3', prefix: undefined, endpoint: undefined, location: undefined, pathStyle: undefined };

test('addresses of regions', () => {
  for (const [text, expected] of [
    ['file:///srv/region', { kind: 'folder', root: '/srv/region' }],
    ['file:///srv/with%20space/', { kind: 'folder', root: '/srv/with space/' }],
    ['s3://bucket', { ...s3, bucket: 'bucket' }],
    ['s3://my.bucket-1/a/b/', { ...s3, bucket: 'my.bucket-1', prefix: 'a/b' }],
    [
      's3://bucket/p?endpoint=https://s3.example.com:8443&region=eu-central-1&path_style=false',
      {
        ...s3,
        bucket: 'bucket',
        prefix: 'p',
        endpoint: 'https://s3.example.com:8443',
        location: 'eu-central-1',
        pathStyle: false,
      },
    ],
  ] as const)
    assert.deepEqual(parseRegionAddress('here', text), expected);
});

test('what is no address is refused in words that do not repeat a secret', () => {
  for (const text of [
    '',
    'nonsense',
    '/srv/region',
    'https://example.com/bucket',
    'file://host/path',
    'file:///',
    'file:///srv?endpoint=x',
    's3://',
    's3://Bucket_',
    's3://bucket:80/',
    's3://key:hunter2@bucket/p',
    's3://bucket?secret=hunter2',
    's3://bucket?endpoint=hunter2',
    's3://bucket?endpoint=https://a:hunter2@host',
    's3://bucket?endpoint=https://host/path',
    's3://bucket?endpoint=ftp://host',
    's3://bucket?endpoint=http://s3.example.com',
    's3://bucket?endpoint=http://127.0.0.1.example.com',
    's3://bucket?region=',
    's3://bucket?region=a&region=b',
    's3://bucket?path_style=yes',
    's3://bucket/a b',
    's3://bucket/#hunter2',
  ])
    assert.throws(
      () => parseRegionAddress('here', text),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'FH_REGION_REFUSED', text);
        assert.match(error.message, /: region here: /);
        assert.ok(!error.message.includes('hunter2'), error.message);
        return true;
      },
    );
});

test('opens a folder, and wants credentials for S3', async () => {
  const root = await mkdtemp(join(tmpdir(), 'freehold-region-'));
  try {
    const address = pathToFileURL(root).href;
    const store = await openRegion(address, { region: 'here', initialise: true });
    assert.equal((await store.put('a/one', Buffer.from('x'))).outcome, 'created');
    const again = await openRegion(address, { region: 'here' });
    assert.equal((await again.stat('a/one'))!.sizeBytes, 1);
    await assert.rejects(openRegion('s3://bucket', { region: 'here' }), { code: 'FH_REGION_REFUSED' });
    const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
    assert.equal((await openRegion('s3://bucket', { region: 'here', credentials })).region, 'here');
    await assert.rejects(openRegion(address, { region: 'Not A Name' }), TypeError);
  } finally {
    await rm(root, { recursive: true });
  }
});

test('who opens no S3 region does not load its client', () => {
  const script = `
    import { openRegion } from '#src/objects/index.ts';
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve(name, context, next) { if (name.startsWith('@aws-sdk')) loaded.push(name); return next(name, context); } });
    await openRegion('file:///srv/region', { region: 'here' });
    if (loaded.length) throw new Error(loaded.join());
    await openRegion('s3://bucket', { region: 'here', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
    if (!loaded.length) throw new Error('the hook sees nothing');
  `;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});
