import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { failpoint, randomName } from '#src/kernel/index.ts';
import { measureContent } from './measured-content.ts';
import { isObjectName, requireObjectName, requirePrefix, requireRegionName } from './names.ts';
import type { RegionStore } from './region.ts';
import { regionErrors } from './region-errors.ts';
import { createS3Bucket, type S3Bucket } from './s3-bucket.ts';
import { openS3Content } from './s3-content.ts';
import { createS3Requests, ignoreMissing, type S3RegionOptions } from './s3-requests.ts';
import { cutIntoBlocks, partSizes, uploadInParts, uploadWhole } from './s3-upload.ts';

/** Which `put` wrote the object. */
const putIdField = 'freehold-put';

/**
 * A region that is a bucket, or a prefix in one, of any service that speaks S3. Nothing is sent before the first call, so that it can be made while the
 * service is away; the first call looks for the marker, the first `put` finds out how the service creates without replacing (see S3Bucket.createOnly).
 */
export function createS3Region(options: S3RegionOptions): RegionStore {
  const region = requireRegionName(options.region);
  const { bucket: Bucket, partBytes = 16 * 1024 * 1024, pageSize = 1_000 } = options;
  const prefix = options.prefix ? `${options.prefix.replace(/^\/+|\/+$/g, '')}/` : '';
  const requests = createS3Requests(options);
  const { client, request } = requests;
  const bucket: S3Bucket = createS3Bucket(requests, { region, bucket: Bucket, prefix, initialise: options.initialise });

  const find = (Key: string) =>
    request((abortSignal) => client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal }).catch(ignoreMissing));
  const removeKey = (Key: string) =>
    request((abortSignal) =>
      client.send(new DeleteObjectCommand({ Bucket, Key }), { abortSignal }).catch(ignoreMissing),
    );

  return {
    region,
    async put(name, content, { expectedBytes, signal } = {}) {
      const key = prefix + requireObjectName(name);
      const measured = measureContent(content, signal);
      const blocks = cutIntoBlocks(measured, partSizes(partBytes, expectedBytes));
      const result = (outcome: 'created' | 'exists') => ({
        outcome,
        sizeBytes: measured.sizeBytes,
        sha256: measured.sha256(),
      });
      try {
        signal?.throwIfAborted();
        const { wholeObjects } = await bucket.createOnly();
        const putId = randomName(26);
        const target = { bucket: Bucket, key, metadata: { [putIdField]: putId }, signal };
        const first = (await blocks.next()).value!;
        const second = await blocks.next();
        // What is long is not sent in vain.
        if (!second.done && (await find(key))) {
          for await (const _ of blocks);
          return result('exists');
        }
        const uploaded =
          second.done && wholeObjects
            ? await uploadWhole(requests, target, first)
            : await uploadInParts(requests, target, concat(first, second, blocks));
        await failpoint('region.uploaded');
        const back = await openS3Content(requests, { region, bucket: Bucket, key });
        if (!back) {
          // Gone again: somebody removed it, or the service does not show yet what it has.
          throw regionErrors.FH_REGION_UNAVAILABLE({
            detail: `region ${region}: ${name} is not there after it was written`,
          });
        }
        if (back.metadata[putIdField] !== putId) {
          back.content.destroy();
          return result('exists');
        }
        const check = measureContent(back.content, signal);
        for await (const _ of check);
        if (check.sha256() === measured.sha256()) return result('created');
        await removeKey(key);
        throw regionErrors.FH_REGION_DAMAGED({ detail: `region ${region}: ${name}, ${uploaded}` });
      } catch (error) {
        if (measured.failure) throw measured.failure.error;
        throw signal?.aborted ? signal.reason : requests.translate(error);
      } finally {
        // Lets go of the content when we ended before it did.
        await blocks.return(undefined);
      }
    },
    async get(name, { from = 0, to } = {}) {
      const key = prefix + requireObjectName(name);
      await bucket.requirePresent();
      if (to !== undefined && to <= from) return (await find(key)) && Readable.from([], { objectMode: false });
      return (await openS3Content(requests, { region, bucket: Bucket, key, from, to }))?.content;
    },
    async stat(name) {
      const key = prefix + requireObjectName(name);
      await bucket.requirePresent();
      const found = await find(key);
      return found && { name, sizeBytes: found.ContentLength ?? 0, createdAt: found.LastModified! };
    },
    async *list(within, { after } = {}) {
      const Prefix = prefix + requirePrefix(within);
      await bucket.requirePresent();
      let StartAfter = after === undefined ? undefined : prefix + after;
      for (;;) {
        const page = await request((abortSignal) =>
          client.send(new ListObjectsV2Command({ Bucket, Prefix, StartAfter, MaxKeys: pageSize }), { abortSignal }),
        );
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          const name = Key.slice(prefix.length);
          if (isObjectName(name)) yield { name, sizeBytes: Size, createdAt: LastModified! };
        }
        // By name rather than by token: a token may end while the caller works on a page.
        StartAfter = page.Contents?.at(-1)?.Key;
        if (!page.IsTruncated || StartAfter === undefined) return;
      }
    },
    async remove(name) {
      const key = prefix + requireObjectName(name);
      await bucket.requirePresent();
      await removeKey(key);
    },
    async removeUnfinished(before) {
      await bucket.requirePresent();
      let removed = 0;
      let KeyMarker: string | undefined;
      let UploadIdMarker: string | undefined;
      for (;;) {
        const page = await request((abortSignal) =>
          client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, KeyMarker, UploadIdMarker }), {
            abortSignal,
          }),
        );
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (!Key || !UploadId || !Initiated || Initiated >= before) continue;
          await request((abortSignal) =>
            client
              .send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal })
              .catch(ignoreMissing),
          );
          removed++;
        }
        const last = page.Uploads?.at(-1);
        if (!page.IsTruncated || !last) return removed;
        KeyMarker = last.Key;
        UploadIdMarker = last.UploadId;
      }
    },
  };
}

async function* concat(
  first: Uint8Array,
  second: IteratorResult<Uint8Array>,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  if (second.done) return;
  yield second.value;
  yield* rest;
}
