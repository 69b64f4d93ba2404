import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { UploadedFile } from '#sdk';
import { FreeholdError } from '#src/kernel/index.ts';
import { objectErrors } from '#src/objects/index.ts';
import { hostingErrors } from './errors.ts';

/** Room for the boundary and the part's own headers. */
const envelopeBytes = 16_384;

export interface ReceivedUpload {
  readonly upload: UploadedFile;
  /** Stops the parser; what was not read is dropped by the connection. */
  discard(): void;
}

/**
 * The one file of a multipart request, streamed: nothing is stored or buffered here. The content ends without an error
 * only when the whole request was read, was not too long and held nothing else, so `files.put` keeps all of it or nothing.
 */
export async function receiveUpload(request: FastifyRequest, maxBytes: number): Promise<ReceivedUpload> {
  if (!request.isMultipart()) throw hostingErrors.FH_APP_UPLOAD_INVALID();
  // Refused before the first byte is read when the client says how much it sends.
  if (Number(request.headers['content-length'] ?? 0) > maxBytes + envelopeBytes) throw tooLarge(maxBytes);
  const parts = request.parts({
    limits: {
      files: 1,
      fields: 1,
      parts: 2,
      fileSize: maxBytes + 1,
      headerPairs: 20,
      fieldNameSize: 100,
      fieldSize: 1_024,
    },
  });
  const first = await parts.next().catch(throwInvalid);
  if (first.done) throw invalid('there is no file in it');
  const part = first.value;
  if (part.type !== 'file' || part.fieldname !== 'file') {
    if (part.type === 'file') part.file.destroy();
    throw invalid(`the field \`${part.fieldname.slice(0, 50)}\` is not taken here`);
  }
  return {
    upload: { name: part.filename || 'file', mediaType: part.mimetype, content: contentOf(part, parts, maxBytes) },
    discard: () => {
      if (!part.file.destroyed) part.file.destroy();
    },
  };
}

async function* contentOf(
  part: MultipartFile,
  parts: AsyncIterator<unknown>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let sizeBytes = 0;
  try {
    for await (const chunk of part.file as AsyncIterable<Buffer>) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      yield chunk;
    }
    if (part.file.truncated) throw tooLarge(maxBytes);
    if (!(await parts.next()).done) throw invalid('there is more than one file or field in it');
  } catch (error) {
    throw error instanceof FreeholdError ? error : invalid('it ended in the middle or is malformed', error);
  }
}

function tooLarge(maxBytes: number): Error {
  return objectErrors.FH_FILE_TOO_LARGE({ detail: `at most ${maxBytes} bytes are taken here` });
}

function invalid(detail: string, cause?: unknown): Error {
  return hostingErrors.FH_APP_UPLOAD_INVALID({ detail, cause });
}

function throwInvalid(error: unknown): never {
  throw invalid('it ended in the middle or is malformed', error);
}
