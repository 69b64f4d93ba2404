import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { regionErrors } from './region-errors.ts';
import { checkMarker, markerContent, markerName } from './region-marker.ts';
import { codeOf, ignoreMissing, isPreconditionFailed, type S3Requests, statusOf } from './s3-requests.ts';

/** How a service creates without replacing. Multipart uploads always can, or we do without the service. */
export interface CreateOnly {
  /** Whether one request may write a whole object; otherwise even a small one is an upload of one part (OpenStack Swift before 2.36). */
  readonly wholeObjects: boolean;
}

export interface S3Bucket {
  /** Throws FH_REGION_UNAVAILABLE or FH_REGION_REFUSED unless the marker of this region is there. Looked for once; again after an error. */
  requirePresent(): Promise<void>;
  /** Tries it out, once. Throws FH_REGION_REFUSED for a service that would replace what is there. */
  createOnly(): Promise<CreateOnly>;
}

interface Place {
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly initialise?: boolean;
}

export function createS3Bucket(requests: S3Requests, { region, bucket: Bucket, prefix, initialise }: Place): S3Bucket {
  const { client, request } = requests;
  const Key = prefix + markerName;
  const place = `bucket ${Bucket}${prefix ? `, prefix ${prefix}` : ''}`;

  const readMarker = () =>
    request(async (abortSignal) => {
      const answer = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal }).catch(ignoreMissing);
      return answer?.Body?.transformToByteArray();
    });

  const requirePresent = remember(async () => {
    let marker = await readMarker();
    if (!marker && initialise) {
      await setUp();
      marker = await readMarker();
    }
    if (!marker)
      throw regionErrors.FH_REGION_REFUSED({
        detail: `region ${region}: ${place} was never set up as a region (no ${markerName})`,
        hint: 'Correct the bucket or the prefix.',
      });
    checkMarker(region, marker, place);
  });

  async function setUp(): Promise<void> {
    const found = await request((abortSignal) =>
      client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix, MaxKeys: 1 }), { abortSignal }),
    );
    if (found.Contents?.length && found.Contents[0]!.Key !== Key)
      throw regionErrors.FH_REGION_REFUSED({
        detail: `region ${region}: ${place} is not empty and has no ${markerName}`,
        hint: 'Give the region a bucket or a prefix of its own.',
      });
    await request((abortSignal) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: markerContent(region) }), { abortSignal }),
    );
  }

  /** Tried on the marker, with its own content: a service that replaces it changes nothing. */
  async function wouldRefuse(attempt: (abortSignal: AbortSignal) => Promise<unknown>): Promise<boolean> {
    return request((abortSignal) =>
      attempt(abortSignal).then(
        () => false,
        (error) => {
          if (isPreconditionFailed(error)) return true;
          if (statusOf(error) === 501 || (statusOf(error) === 400 && codeOf(error) !== 'RequestTimeout')) return false;
          throw error;
        },
      ),
    );
  }

  const createOnly = remember(async () => {
    await requirePresent();
    const Body = markerContent(region);
    const wholeObjects = await wouldRefuse((abortSignal) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: '*' }), { abortSignal }),
    );
    const { UploadId } = await request((abortSignal) =>
      client.send(new CreateMultipartUploadCommand({ Bucket, Key }), { abortSignal }),
    );
    const upload = { Bucket, Key, UploadId };
    try {
      const { ETag } = await request((abortSignal) =>
        client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body }), { abortSignal }),
      );
      const inParts = await wouldRefuse((abortSignal) =>
        client.send(
          new CompleteMultipartUploadCommand({
            ...upload,
            MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
            IfNoneMatch: '*',
          }),
          { abortSignal },
        ),
      );
      if (!inParts)
        throw regionErrors.FH_REGION_REFUSED({
          detail: `region ${region}: the service completes multipart uploads over objects that exist, whatever If-None-Match says`,
          hint: 'Backups must never be replaced. Use a service that honours If-None-Match on CompleteMultipartUpload.',
        });
    } finally {
      await request((abortSignal) => client.send(new AbortMultipartUploadCommand(upload), { abortSignal })).catch(
        () => undefined,
      );
    }
    return { wholeObjects };
  });

  return { requirePresent, createOnly };
}

/** Runs `work` once for all callers, and again after an error. */
function remember<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().catch((error) => {
      running = undefined;
      throw error;
    });
    return running;
  };
}
