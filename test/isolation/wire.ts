/** HTTPS with everything in the caller's hand: where the connection goes, which certificate it asks for, and every header. */

import { connect as connectHttp2 } from 'node:http2';
import { Agent, request as sendHttps } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface WireRequest {
  /** Port of loopback to connect to. */
  readonly port: number;
  /** Name asked for in the TLS handshake (SNI), whose certificate is checked. */
  readonly serverName: string;
  /** `Host`, with its port. */
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | undefined;
  /** A connection of its own. */
  readonly fresh?: boolean;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Status line, header lines and body: every byte that could carry something. */
  readonly text: string;
  readonly body: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
  readonly json: any;
}

const answerDeadlineMs = 120_000;

export class Wire {
  readonly #ca: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(ca: string) {
    this.#ca = ca;
  }

  send({ port, serverName, host, method, path, headers = {}, body, fresh = false }: WireRequest): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      const sent = sendHttps(
        {
          host: '127.0.0.1',
          port,
          servername: serverName,
          ca: this.#ca,
          agent: fresh ? false : this.#agent,
          method,
          path,
          headers: {
            host,
            ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
            ...headers,
          },
          timeout: answerDeadlineMs,
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () => {
            const content = Buffer.concat(chunks);
            const head = answer.rawHeaders.reduce((text, part, at) => text + part + (at % 2 === 0 ? ': ' : '\n'), '');
            resolve(
              toAnswer(
                answer.statusCode!,
                answer.headers,
                `${answer.statusCode} ${answer.statusMessage}\n${head}\n`,
                content,
              ),
            );
          });
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Sends these bytes over TLS, or plain, and gives back all that came until the end of the connection. */
  raw(port: number, bytes: string, serverName: string | undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket =
        serverName === undefined
          ? connectTcp(port, '127.0.0.1')
          : connectTls({
              port,
              host: '127.0.0.1',
              servername: serverName,
              ALPNProtocols: ['http/1.1'],
              // Names that are not ours have no certificate of their own; what is said to them is the question here.
              rejectUnauthorized: false,
            });
      let text = '';
      socket.setEncoding('utf8');
      socket.setTimeout(answerDeadlineMs, () => socket.destroy(new Error(`no end of the connection: ${text}`)));
      socket.on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('error', (error) => (text === '' ? reject(error) : resolve(text)));
      socket.on('close', () => resolve(text));
      socket.write(bytes);
    });
  }

  /** One request over HTTP/2, with these pseudo-headers and headers as they are. Status 0: the stream was refused. */
  http2(port: number, serverName: string, headers: Readonly<Record<string, string>>): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: serverName, ca: this.#ca });
      session.on('error', reject);
      const stream = session.request(headers);
      const chunks: Buffer[] = [];
      let answered: Record<string, string | string[] | undefined> = {};
      stream.setTimeout(answerDeadlineMs, () => stream.destroy(new Error('no answer over HTTP/2')));
      stream.on('response', (received) => {
        answered = received as typeof answered;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      // Refused by the protocol itself: there is no answer.
      stream.on('error', () => {
        session.destroy();
        resolve(toAnswer(0, {}, '', Buffer.alloc(0)));
      });
      stream.on('end', () => {
        session.close();
        const head = Object.entries(answered).map(([name, value]) => `${name}: ${[value].flat().join(', ')}\n`);
        resolve(toAnswer(Number(answered[':status']), answered, head.join(''), Buffer.concat(chunks)));
      });
      stream.end();
    });
  }

  /** An event stream that is read until it ends or is closed. Resolves when it has begun, or was refused. */
  listen(request: Omit<WireRequest, 'method' | 'body' | 'fresh'>): Promise<Listening> {
    return new Promise((resolve, reject) => {
      const { port, serverName, host, path, headers = {} } = request;
      const sent = sendHttps(
        {
          host: '127.0.0.1',
          port,
          servername: serverName,
          ca: this.#ca,
          agent: false,
          path,
          headers: { host, accept: 'text/event-stream', ...headers },
        },
        (answer) => {
          const listening: Listening = {
            status: answer.statusCode!,
            text: '',
            ended: false,
            close: () => sent.destroy(),
          };
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            listening.text += chunk;
          });
          answer.on('error', () => {});
          answer.on('close', () => {
            listening.ended = true;
          });
          resolve(listening);
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface Listening {
  readonly status: number;
  /** Everything received so far. */
  text: string;
  ended: boolean;
  close(): void;
}

/** Answer of a raw connection. */
export function parseRaw(text: string): WireAnswer {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const body = Buffer.from(end < 0 ? '' : text.slice(end + 4));
  return { ...toAnswer(Number(statusLine.split(' ')[1] ?? 0), headers, '', body), text };
}

function toAnswer(status: number, headers: WireAnswer['headers'], head: string, body: Buffer): WireAnswer {
  const content = body.toString();
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    json = undefined;
  }
  return { status, headers, text: head + content, body, json };
}
