import { S3Client } from '@aws-sdk/client-s3';
import { FreeholdError, retry } from '#src/kernel/index.ts';
import { objectErrors } from './errors.ts';
import { regionErrors } from './region-errors.ts';

export interface S3RegionOptions {
  /** Name of the region, for example `eu_west`. */
  readonly region: string;
  readonly bucket: string;
  /** Before every name, with a `/` between them. Default: none. */
  readonly prefix?: string;
  /** URL of the service; undefined: Amazon's. */
  readonly endpoint?: string;
  /** What the service calls its region; part of the signature. Default: `us-east-1`. */
  readonly location?: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The bucket in the path of URLs, not in the host name. Default: true when there is an endpoint. */
  readonly pathStyle?: boolean;
  /** Makes the empty place the region. Only when the region is set up. Default: false. */
  readonly initialise?: boolean;
  /** How long one request may take before its answer begins, besides a second for every 256 KiB that it sends. Default: 15,000. */
  readonly requestTimeoutMs?: number;
  /** Tries of one request. Default: 4. */
  readonly attempts?: number;
  /** Size of the parts of an upload, at least 5 MiB, and of the largest object that is sent in one. Default: 16 MiB. */
  readonly partBytes?: number;
  /** Names per page of a list. Default: 1,000. */
  readonly pageSize?: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** What it sends. Default: 0. */
  readonly sendsBytes?: number;
  /** Factor on the time-out, for what takes a server long. Default: 1. */
  readonly patience?: number;
}

/** The requests to one bucket: time-outs, tries, and errors in our own words. */
export interface S3Requests {
  readonly client: S3Client;
  /** Runs `send` until it answers. Each try gets a signal of its own, which must not be used after the answer has begun. */
  request<T>(send: (abortSignal: AbortSignal) => Promise<T>, options?: RequestOptions): Promise<T>;
  /** An error of the client in our words. */
  translate(error: unknown): unknown;
  /** The same with the time-out that applies while an answer's content is awaited. */
  readonly requestTimeoutMs: number;
  readonly attempts: number;
}

const sentBytesPerMs = 256;

export function createS3Requests(options: S3RegionOptions): S3Requests {
  const { region, requestTimeoutMs = 15_000, attempts = 4 } = options;
  const client = new S3Client({
    endpoint: options.endpoint,
    region: options.location ?? 'us-east-1',
    forcePathStyle: options.pathStyle ?? options.endpoint !== undefined,
    credentials: { accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey },
    // Older services know no trailing checksums. What counts is that we read back what we wrote.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
    requestHandler: { connectionTimeout: Math.min(requestTimeoutMs, 5_000) },
  });
  const translate = (error: unknown) => toRegionError(region, error);

  async function once<T>(send: (abortSignal: AbortSignal) => Promise<T>, options: RequestOptions): Promise<T> {
    const { signal, sendsBytes = 0, patience = 1 } = options;
    signal?.throwIfAborted();
    const timeoutMs = requestTimeoutMs * patience + sendsBytes / sentBytesPerMs;
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await send(controller.signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (controller.signal.aborted) throw noAnswer(region, timeoutMs);
      throw translate(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  return {
    client,
    translate,
    requestTimeoutMs,
    attempts,
    request: (send, options = {}) =>
      retry(
        { attempts, firstDelayMs: 100, maxDelayMs: 2_000, isRetryable: isUnavailable, signal: options.signal },
        () => once(send, options),
      ),
  };
}

export function noAnswer(region: string, timeoutMs: number): FreeholdError {
  return regionErrors.FH_REGION_UNAVAILABLE({
    detail: `region ${region}: no answer within ${Math.round(timeoutMs)} ms`,
  });
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof FreeholdError && error.code === 'FH_REGION_UNAVAILABLE';
}

/** HTTP status of an error of the client; undefined: there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** The S3 error code or the code of the operating system. Only what looks like one: it goes into messages. */
export function codeOf(error: unknown): string | undefined {
  const { Code, code, name } = (error ?? {}) as { Code?: unknown; code?: unknown; name?: unknown };
  return [Code, code, name].find((text): text is string => typeof text === 'string' && /^\w{2,60}$/.test(text));
}

/** 412, and 304 of services that mistake the condition for one of reading. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOf(error) === 412 || statusOf(error) === 304;
}

/** For `catch`: undefined when there is no such object. */
export function ignoreMissing(error: unknown): undefined {
  if (statusOf(error) !== 404 || codeOf(error) === 'NoSuchBucket') throw error;
}

/** Refusals that another try may mend, although their status says that it is our fault. */
const passing = new Set([
  'RequestTimeout',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'OperationAborted',
  'ConditionalRequestConflict',
  // Somebody tidied it up while it was under way.
  'NoSuchUpload',
]);
const full = new Set(['QuotaExceeded', 'EntityTooLargeForQuota', 'XMinioStorageFull', 'InsufficientStorage']);

/** Says the code and the status, never the server's text or the client's object: they hold the access key id and what was signed. */
function toRegionError(region: string, error: unknown): unknown {
  if (error instanceof FreeholdError) return error;
  const status = statusOf(error);
  const code = codeOf(error) ?? 'no answer';
  const details = { detail: `region ${region}: ${status === undefined ? code : `${code} (${status})`}` };
  if (status === 507 || full.has(code))
    return objectErrors.FH_STORAGE_FULL({ ...details, hint: 'Make room in the bucket, or raise its quota.' });
  if (passing.has(code) || status === 408 || status === 409 || status === 429)
    return regionErrors.FH_REGION_UNAVAILABLE(details);
  if (status === undefined) {
    if (error instanceof TypeError || error instanceof RangeError) return error;
    return /CERT|ERR_TLS|ERR_SSL/.test(code)
      ? regionErrors.FH_REGION_REFUSED(details)
      : regionErrors.FH_REGION_UNAVAILABLE(details);
  }
  // An answer that is none (200 with an unreadable body): something on the way cut it short.
  if (status < 300 || (status >= 500 && status !== 501)) return regionErrors.FH_REGION_UNAVAILABLE(details);
  return regionErrors.FH_REGION_REFUSED(
    code === 'RequestTimeTooSkewed'
      ? { ...details, hint: "Set this machine's clock; the service compares it with its own." }
      : details,
  );
}
