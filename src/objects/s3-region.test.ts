import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { type SwiftServer, startSwift } from '../../test/support/swift.ts';
import { read, testRegionStore } from './region-store.contract.ts';
import { createS3Region } from './s3-region.ts';
import type { S3RegionOptions } from './s3-requests.ts';

let swift: SwiftServer;

const optionsOf = (bucket: string): S3RegionOptions => ({
  region: 'here',
  bucket,
  endpoint: swift.endpoint,
  location: swift.location,
  accessKeyId: swift.accessKeyId,
  secretAccessKey: swift.secretAccessKey,
  initialise: true,
  partBytes: 5 * 1024 * 1024,
  // Several pages.
  pageSize: 3,
});

describe('Swift as Debian has it: creates only by completing an upload', () => {
  before(async () => {
    swift = await startSwift();
  });
  after(() => swift.stop());

  testRegionStore('bucket', async () => {
    const options = optionsOf(await swift.createBucket());
    const another = () => createS3Region(options);
    return { store: another(), another, close: async () => {} };
  });
});

describe('Swift as it is from 2.36 on: creates also by a conditional PUT', () => {
  before(async () => {
    swift = await startSwift({ conditionalPut: true });
  });
  after(() => swift.stop());

  testRegionStore('prefix in a bucket of others', async () => {
    const options = { ...optionsOf(await swift.createBucket()), prefix: 'of/freehold' };
    const another = () => createS3Region(options);
    const { client } = swift;
    for (const Key of ['of/freehold', 'of/freehold0', 'of/somebody'])
      await client.send(new PutObjectCommand({ Bucket: options.bucket, Key, Body: 'x' }));
    return { store: another(), another, close: async () => {} };
  });
});

describe('a service that does not look at If-None-Match', () => {
  before(async () => {
    swift = await startSwift({ conditionalPut: true, ignoreCondition: true });
  });
  after(() => swift.stop());

  test('is refused in clear words before anything is written, and read all the same', async () => {
    const options = optionsOf(await swift.createBucket());
    const store = createS3Region(options);
    await assert.rejects(store.put('a/one', Buffer.from('x')), {
      code: 'FH_REGION_REFUSED',
      retry: 'never',
      detail: /^region here: the service completes multipart uploads over objects that exist/,
    });
    const { Contents } = await swift.client.send(new ListObjectsV2Command({ Bucket: options.bucket }));
    assert.deepEqual(
      Contents!.map(({ Key }) => Key),
      ['.freehold-region'],
    );
    assert.equal(await store.removeUnfinished(new Date(8.64e15)), 0);
    const body = 'of earlier days';
    await swift.client.send(new PutObjectCommand({ Bucket: options.bucket, Key: 'a/one', Body: body }));
    assert.equal(String(await read(store, 'a/one')), body);
  });
});
