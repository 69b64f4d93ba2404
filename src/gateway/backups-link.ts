import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isId, kernelErrors, type Log, type TenantId } from '#src/kernel/index.ts';
import { parseWireError, rpcErrors, toWireError } from '#src/rpc/index.ts';
import { parseTenantId } from './link.ts';
import type { Downloader, DownloadRequest, DumpDownload, TenantBackups, TenantBackupsPort } from './types.ts';

/** More than any question needs. */
const questionBytes = 8_192;

export interface BackupsLinkOptions {
  readonly socketPath: string;
  readonly log: Log;
}

/**
 * Control's end of backups.sock: HTTP, because a dump is bytes without end and link.sock is for messages. One socket for gateways beside link.sock, in the same
 * folder and with the same rights. Gateways face the internet, so what they send is checked like a client's request.
 */
export function createBackupsServer({
  socketPath,
  mode,
  port,
  log,
}: BackupsLinkOptions & { readonly mode: number; readonly port: TenantBackupsPort }) {
  async function answer(question: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readQuestion(question);
    switch (question.url) {
      case '/overview':
        return sendJson(response, 200, await port.overview(parseTenantId(body.tenantId)));
      case '/confirmation':
        return sendJson(response, 200, await port.confirm(parseDownloader(body)));
      case '/download':
        return sendDownload(response, await port.open(parseDownloader(body), parseDownload(body)));
      default:
        throw kernelErrors.FH_INVALID_REQUEST();
    }
  }

  const server = createServer((question, response) => {
    answer(question, response).catch((error) => {
      log.warn('a question about backups was refused', { url: question.url, error });
      // Bytes that are already out cannot be taken back: whoever reads them sees that the end is missing.
      if (response.headersSent) response.destroy();
      else {
        const wire = toWireError(error);
        sendJson(response, wire.status, wire);
      }
    });
  });
  return {
    async start(): Promise<void> {
      await rm(socketPath, { force: true });
      server.listen(socketPath);
      await once(server, 'listening');
      await chmod(socketPath, mode);
    },
    async stop(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function sendDownload(response: ServerResponse, download: DumpDownload): Promise<void> {
  const { dumpId, madeAt, sizeBytes, content } = download;
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'x-dump-id': dumpId,
    'x-made-at': madeAt,
    ...(sizeBytes !== undefined && { 'content-length': sizeBytes }),
  });
  // The client asks whether to go on before a byte of the content is needed.
  response.flushHeaders();
  await pipeline(Readable.from(content, { objectMode: false, highWaterMark: 256 * 1024 }), response);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function readQuestion(question: IncomingMessage): Promise<Record<string, unknown>> {
  const text = await readAll(question, questionBytes);
  try {
    const value: unknown = JSON.parse(text);
    if (question.method === 'POST' && typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // Answered below.
  }
  throw kernelErrors.FH_INVALID_REQUEST();
}

async function readAll(source: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of source) {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) throw kernelErrors.FH_INVALID_REQUEST();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseDownloader({ tenantId, userId, sessionId }: Record<string, unknown>): Downloader {
  if (!isId('usr', userId) || !isId('ses', sessionId)) throw kernelErrors.FH_INVALID_REQUEST();
  return { tenantId: parseTenantId(tenantId), userId, sessionId };
}

function parseDownload({ confirmation, recipient }: Record<string, unknown>): DownloadRequest {
  const isText = (value: unknown) => typeof value === 'string' && value.length <= 1_000;
  if (!isText(confirmation) || (recipient !== undefined && !isText(recipient))) throw kernelErrors.FH_INVALID_REQUEST();
  return { confirmation: confirmation as string, ...(recipient !== undefined && { recipient: recipient as string }) };
}

/** A gateway worker's end. */
export function connectToBackups({ socketPath }: Pick<BackupsLinkOptions, 'socketPath'>): TenantBackupsPort {
  async function ask(url: string, body: object, signal?: AbortSignal): Promise<IncomingMessage> {
    const call = request({ socketPath, path: url, method: 'POST', agent: false, ...(signal && { signal }) });
    call.end(JSON.stringify(body));
    const [response] = (await once(call, 'response').catch((cause) => {
      throw rpcErrors.FH_CONTROL_UNAVAILABLE({ cause });
    })) as [IncomingMessage];
    if (response.statusCode === 200) return response;
    throw parseWireError(JSON.parse(await readAll(response, 65_536)));
  }
  const askJson = async <T>(url: string, body: object): Promise<T> =>
    JSON.parse(await readAll(await ask(url, body), 1_048_576)) as T;

  return {
    overview: (tenantId: TenantId) => askJson<TenantBackups>('/overview', { tenantId }),
    confirm: (who) => askJson('/confirmation', who),
    async open(who, download, signal) {
      const response = await ask('/download', { ...who, ...download }, signal);
      const { 'x-dump-id': dumpId, 'x-made-at': madeAt, 'content-length': sizeBytes } = response.headers;
      return {
        dumpId: String(dumpId),
        madeAt: String(madeAt),
        ...(sizeBytes && { sizeBytes: Number(sizeBytes) }),
        content: response,
      };
    },
  };
}
