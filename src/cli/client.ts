import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FreeholdError } from '#src/kernel/index.ts';
import type { Operation } from '#src/tenants/index.ts';
import { cliErrors } from './errors.ts';

/** Speaks with a running installation over its command socket. Errors of the server arrive as FreeholdError with their own code. */
export interface CommandClient {
  get<T>(path: string): Promise<T>;
  send<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<T>;
  /** @param sizeBytes undefined: not known before it is sent */
  upload<T>(path: string, content: Readable, sizeBytes: number | undefined): Promise<T>;
  download(path: string): Promise<IncomingMessage>;
  /** Each state of an operation until it no longer runs. */
  watch(operationId: string): AsyncIterable<Operation>;
}

export function createCommandClient(socketPath: string): CommandClient {
  /** The answer, once its headers are there; throws what the server refused. */
  async function exchange(
    method: string,
    path: string,
    headers: Record<string, string | number>,
    write: (outgoing: NodeJS.WritableStream) => void,
  ): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = httpRequest({ socketPath, method, path, headers: { host: 'localhost', ...headers } });
      outgoing.once('response', resolve);
      outgoing.once('error', (error) => reject(toConnectionError(error)));
      write(outgoing);
    });
    if ((response.statusCode ?? 500) < 400) return response;
    throw await toRefusal(response);
  }

  async function json<T>(response: IncomingMessage): Promise<T> {
    const text = await readText(response);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  return {
    get: async (path) => json(await exchange('GET', path, {}, (outgoing) => outgoing.end())),
    async send(method, path, body) {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
      const all = { ...headers, 'content-length': Buffer.byteLength(text) };
      return json(await exchange(method, path, all, (outgoing) => outgoing.end(text)));
    },
    async upload(path, content, sizeBytes) {
      const headers: Record<string, string | number> = { 'content-type': 'application/x-tar' };
      if (sizeBytes !== undefined) headers['content-length'] = sizeBytes;
      // A refusal may come before everything was sent; then the answer counts, not the broken pipe.
      const answer = exchange('POST', path, headers, (outgoing) => {
        pipeline(content, outgoing).catch(() => {});
      });
      return json(await answer);
    },
    download: (path) => exchange('GET', path, {}, (outgoing) => outgoing.end()),
    async *watch(operationId) {
      const path = `/api/operations/${operationId}/events`;
      const response = await exchange('GET', path, { accept: 'text/event-stream' }, (outgoing) => outgoing.end());
      let pending = '';
      response.setEncoding('utf8');
      try {
        for await (const chunk of response) {
          const blocks = (pending + chunk).split('\n\n');
          pending = blocks.pop()!;
          for (const block of blocks) {
            const data = /^data: (.*)$/m.exec(block)?.[1];
            if (data) yield JSON.parse(data) as Operation;
          }
        }
      } catch (error) {
        throw toConnectionError(error);
      }
    },
  };
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += chunk;
  return text;
}

async function toRefusal(response: IncomingMessage): Promise<FreeholdError> {
  const text = await readText(response);
  let problem: Partial<Record<'code' | 'title' | 'detail' | 'hint', string>> = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // Not one of ours: the status is all there is to say.
  }
  const spec = {
    status: response.statusCode ?? 500,
    title: problem.title ?? `The server answered ${response.statusCode}`,
  };
  return new FreeholdError(problem.code ?? 'FH_INTERNAL', spec, { detail: problem.detail, hint: problem.hint });
}

function toConnectionError(error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return cliErrors.FH_NOT_RUNNING({ cause: error });
  if (code === 'EACCES' || code === 'EPERM') return cliErrors.FH_COMMAND_REFUSED({ cause: error });
  return cliErrors.FH_COMMAND_INTERRUPTED({ cause: error });
}
