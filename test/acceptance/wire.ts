/** Bytes on a connection of its own, for what no well-behaved client would send. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The whole of it. */
  readonly text: string;
}

/** One HTTP/1.1 connection over TLS; the certificate is checked elsewhere. */
export function openTls(port: number, servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      servername,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...options,
    });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

export function openTcp(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends, and reads until the other side closes, an answer of known length is whole, or the deadline. */
export function exchange(socket: Socket, bytes: string | Buffer, deadlineMs = 180_000): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      if (text === '') reject(new Error('closed without an answer'));
      else resolve(parse(text));
    };
    const timer = setTimeout(finish, deadlineMs);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      const { headers, body } = parse(text);
      const length = headers.get('content-length');
      if (text.includes('\r\n\r\n') && length !== undefined && body.length >= Number(length)) finish();
    });
    socket.on('close', finish);
    // What was sent may be refused before all of it is read.
    socket.on('error', () => {});
    socket.write(bytes);
  });
}

/** Sends chunk after chunk of a body until an answer comes, as a client does that does not stop by itself. */
export async function streamUntilAnswer(
  socket: Socket,
  head: string,
  start: string,
  mostMegabytes: number,
): Promise<{ answer: RawAnswer; sentMegabytes: number }> {
  const asChunk = (bytes: Buffer) =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
  const megabyte = asChunk(Buffer.alloc(1_048_576, 'x'));
  let answered = false;
  const answer = exchange(socket, Buffer.concat([Buffer.from(head), asChunk(Buffer.from(start))]), 180_000).finally(
    () => {
      answered = true;
    },
  );
  let sentMegabytes = 0;
  for (; sentMegabytes < mostMegabytes && !answered && !socket.destroyed; sentMegabytes++)
    await new Promise((resolve) => socket.write(megabyte, resolve));
  return { answer: await answer, sentMegabytes };
}

function parse(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end < 0 ? undefined : end).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  return { status: Number(first.split(' ')[1]), headers, body: end < 0 ? '' : text.slice(end + 4), text };
}
