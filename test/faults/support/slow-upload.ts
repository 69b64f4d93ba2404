/** An upload whose bytes come slowly, so that things can happen in the middle of it. */
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { Tenant } from './operator.ts';

const boundary = 'freehold-fault-suite';

export interface SlowUpload {
  /** The first piece is on its way: there is a connection. */
  readonly begun: Promise<void>;
  /** Status of the answer. */
  readonly status: Promise<number>;
}

export function uploadSlowly(
  { client, itemId }: Tenant,
  { pieces, pieceBytes, everyMs }: { pieces: number; pieceBytes: number; everyMs: number },
): SlowUpload {
  const { hostname, port } = new URL(client.origin);
  const begun = Promise.withResolvers<void>();
  const status = Promise.withResolvers<number>();
  status.promise.catch(() => {});
  const sending = request(
    {
      // Whom we speak with is checked by the other requests; here only the bytes count.
      rejectUnauthorized: false,
      host: '127.0.0.1',
      port,
      servername: hostname,
      method: 'POST',
      path: `/api/items/${itemId}/attachments`,
      agent: false,
      headers: {
        host: `${hostname}:${port}`,
        cookie: [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        'content-type': `multipart/form-data; boundary=${boundary}`,
      },
    },
    (response) => {
      response.resume();
      response.on('end', () => status.resolve(response.statusCode ?? 0));
      response.on('error', status.reject);
    },
  );
  sending.on('error', status.reject);
  const send = async (): Promise<void> => {
    sending.write(
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="slow.bin"\r\ncontent-type: application/octet-stream\r\n\r\n`,
    );
    for (let piece = 0; piece < pieces; piece++) {
      await new Promise((written) => sending.write(Buffer.alloc(pieceBytes, piece), written));
      begun.resolve();
      await delay(everyMs);
    }
    sending.end(`\r\n--${boundary}--\r\n`);
  };
  send().catch(status.reject);
  return { begun: begun.promise, status: status.promise };
}
