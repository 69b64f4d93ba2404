import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { regionErrors } from './region-errors.ts';
import { ignoreMissing, isUnavailable, noAnswer, type S3Requests, statusOf } from './s3-requests.ts';

export interface S3Content {
  readonly content: Readable;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Place {
  readonly region: string;
  readonly bucket: string;
  readonly key: string;
  readonly from?: number;
  /** Exclusive, beyond `from`. */
  readonly to?: number;
}

/** One answer: its beginning, and where it ends when the service said so. */
interface Answer {
  readonly body: Readable;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sizeBytes: number | undefined;
}

/**
 * Opens an object for reading. When the connection breaks or falls silent half way, it goes on where it stopped: objects do not change. Reading ends with
 * an error after as many breaks in a row, without a byte between them, as a request has tries. undefined: no such object.
 */
export async function openS3Content(requests: S3Requests, place: Place): Promise<S3Content | undefined> {
  const first = await ask(requests, place, place.from ?? 0);
  if (!first) return undefined;
  return {
    content: Readable.from(readOn(requests, place, first), { objectMode: false }),
    metadata: first.metadata,
  };
}

async function ask(
  requests: S3Requests,
  { bucket: Bucket, key: Key, to }: Place,
  from: number,
): Promise<Answer | undefined> {
  const Range = from === 0 && to === undefined ? undefined : `bytes=${from}-${to === undefined ? '' : to - 1}`;
  return requests.request(async (abortSignal) => {
    try {
      const answer = await requests.client.send(new GetObjectCommand({ Bucket, Key, Range }), { abortSignal });
      return { body: answer.Body as Readable, metadata: answer.Metadata ?? {}, sizeBytes: answer.ContentLength };
    } catch (error) {
      // Begins behind the end of the object.
      if (statusOf(error) === 416) return { body: Readable.from([]), metadata: {}, sizeBytes: 0 };
      return ignoreMissing(error);
    }
  });
}

async function* readOn(requests: S3Requests, place: Place, first: Answer): AsyncGenerator<Buffer> {
  let answer = first;
  let at = place.from ?? 0;
  const end = first.sizeBytes === undefined ? undefined : at + first.sizeBytes;
  let breaks = 0;
  for (;;) {
    try {
      for await (const chunk of chunksOf(answer.body, place.region, requests.requestTimeoutMs)) {
        at += chunk.byteLength;
        breaks = 0;
        yield chunk;
      }
      if (end === undefined || at >= end) return;
      throw regionErrors.FH_REGION_UNAVAILABLE({ detail: `region ${place.region}: the answer ended too early` });
    } catch (error) {
      const translated = requests.translate(error);
      if (!isUnavailable(translated) || ++breaks >= requests.attempts) throw translated;
      const next = await ask(requests, place, at);
      if (!next)
        throw regionErrors.FH_REGION_UNAVAILABLE({ detail: `region ${place.region}: removed while it was read` });
      answer = next;
    }
  }
}

/** The time-out runs only while we wait for the service, not while the reader takes its time. */
async function* chunksOf(body: Readable, region: string, timeoutMs: number): AsyncGenerator<Buffer> {
  const iterator: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = setTimeout(() => body.destroy(noAnswer(region, timeoutMs)), timeoutMs);
      const next = await iterator.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}
