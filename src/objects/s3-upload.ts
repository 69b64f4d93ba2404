import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { failpoint } from '#src/kernel/index.ts';
import { codeOf, isPreconditionFailed, type S3Requests } from './s3-requests.ts';

export interface UploadTarget {
  readonly bucket: string;
  readonly key: string;
  /** Stored with the object, so that it can be told from one of somebody else. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** `taken`: an object has the name. Perhaps our own, when the answer to an earlier try was lost. */
export type UploadOutcome = 'created' | 'taken';

const partsAtOnce = 3;

/** One request. Only for services that honour the condition on it. */
export function uploadWhole(requests: S3Requests, target: UploadTarget, content: Uint8Array): Promise<UploadOutcome> {
  const { bucket: Bucket, key: Key, metadata: Metadata, signal } = target;
  return requests.request<UploadOutcome>(
    (abortSignal) =>
      requests.client
        .send(new PutObjectCommand({ Bucket, Key, Metadata, Body: content, IfNoneMatch: '*' }), { abortSignal })
        .then(() => 'created' as const, ifTaken),
    { signal, sendsBytes: content.byteLength },
  );
}

/**
 * A multipart upload: nothing is visible before it is completed, and completing is create-only. Holds at most `partsAtOnce` blocks and the one
 * that is being filled. Whatever goes wrong, the upload is aborted; when even that fails, removeUnfinished finds it.
 */
export async function uploadInParts(
  requests: S3Requests,
  target: UploadTarget,
  blocks: AsyncIterable<Uint8Array>,
): Promise<UploadOutcome> {
  const { bucket: Bucket, key: Key, metadata: Metadata } = target;
  const { client, request } = requests;
  const { UploadId } = await request(
    (abortSignal) => client.send(new CreateMultipartUploadCommand({ Bucket, Key, Metadata }), { abortSignal }),
    { signal: target.signal },
  );
  const upload = { Bucket, Key, UploadId };
  // Ends the other parts when one has failed.
  const stop = new AbortController();
  const signal = target.signal ? AbortSignal.any([target.signal, stop.signal]) : stop.signal;
  const parts: { PartNumber: number; ETag: string | undefined }[] = [];
  const inFlight = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;

  async function sendPart(PartNumber: number, Body: Uint8Array): Promise<void> {
    try {
      const { ETag } = await request(
        (abortSignal) => client.send(new UploadPartCommand({ ...upload, PartNumber, Body }), { abortSignal }),
        { signal, sendsBytes: Body.byteLength },
      );
      parts[PartNumber - 1] = { PartNumber, ETag };
      await failpoint('region.part-sent');
    } catch (error) {
      failure ??= { error };
      stop.abort(error);
    }
  }

  try {
    let count = 0;
    for await (const block of blocks) {
      const part: Promise<void> = sendPart(++count, block).finally(() => inFlight.delete(part));
      inFlight.add(part);
      if (inFlight.size >= partsAtOnce) await Promise.race(inFlight);
      if (failure) break;
    }
    await Promise.all(inFlight);
    if (failure) throw failure.error;
    await failpoint('region.parts-sent');
    const outcome = await complete();
    if (outcome === 'taken') await abort();
    await failpoint('region.completed');
    return outcome;
  } catch (error) {
    stop.abort(error);
    await Promise.all(inFlight);
    await abort();
    throw error;
  }

  function complete(): Promise<UploadOutcome> {
    let tries = 0;
    return request<UploadOutcome>(
      (abortSignal) => {
        const isFirst = ++tries === 1;
        return client
          .send(
            new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts }, IfNoneMatch: '*' }),
            {
              abortSignal,
            },
          )
          .then(
            () => 'created' as const,
            (error) => {
              // The answer to an earlier try was lost: the upload is gone because it was completed.
              if (!isFirst && codeOf(error) === 'NoSuchUpload') return 'taken' as const;
              return ifTaken(error);
            },
          );
      },
      // Services join the parts before they answer.
      { signal, patience: 8 },
    );
  }

  /** Without the caller's signal: it is for tidying up after it, too. */
  async function abort(): Promise<void> {
    await request((abortSignal) => client.send(new AbortMultipartUploadCommand(upload), { abortSignal })).catch(
      () => undefined,
    );
  }
}

function ifTaken(error: unknown): UploadOutcome {
  if (isPreconditionFailed(error)) return 'taken';
  throw error;
}

/** Cuts content into blocks for parts; all but the last are full. At least one block, which may be empty. */
export async function* cutIntoBlocks(
  content: AsyncIterable<Uint8Array>,
  blockBytes: (index: number) => number,
): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let heldBytes = 0;
  let index = 0;
  for await (const chunk of content) {
    let rest = chunk;
    while (rest.byteLength > 0) {
      const piece = rest.subarray(0, blockBytes(index) - heldBytes);
      pieces.push(piece);
      heldBytes += piece.byteLength;
      rest = rest.subarray(piece.byteLength);
      if (heldBytes < blockBytes(index)) continue;
      yield join(pieces);
      pieces = [];
      heldBytes = 0;
      index++;
    }
  }
  if (heldBytes > 0 || index === 0) yield join(pieces);
}

/** Copies only what came in several pieces. */
function join(pieces: Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

const maxParts = 10_000;
const growEvery = 2_000;

/**
 * Sizes of the parts: all the same when the length is about known, as some services want it; otherwise they double every 2,000 parts, so that
 * 10,000 parts of 16 MiB and more hold almost a terabyte.
 */
export function partSizes(partBytes: number, expectedBytes: number | undefined): (index: number) => number {
  const evenBytes = Math.ceil((expectedBytes ?? 0) / (maxParts * 0.9));
  if (evenBytes > partBytes) return () => evenBytes;
  return (index) => partBytes * 2 ** Math.floor(index / growEvery);
}
