/** A proxy in front of an HTTP service that misbehaves on demand: what a network and a busy service do to a client. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

export type Fault =
  /** Answers itself with this status and S3 error code. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** Resets the connection when this much of the request's body has come. */
  | { readonly kind: 'reset-upload'; readonly afterBytes: number }
  /** Passes this much of the answer's body and then resets the connection. */
  | { readonly kind: 'reset-download'; readonly afterBytes: number }
  /** Lets the service do it, and resets the connection instead of passing the answer. */
  | { readonly kind: 'lose-answer' }
  /** Passes this much of the answer's body and then falls silent. */
  | { readonly kind: 'stall-download'; readonly afterBytes: number }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Flips a bit of the answer's body. */
  | { readonly kind: 'garble-download' };

export interface FaultProxy {
  readonly endpoint: string;
  /** The next `times` requests whose "METHOD /path?query" matches meet the fault. */
  plan(matches: RegExp, fault: Fault, times?: number): void;
  /** "METHOD /path?query" of everything that came. */
  readonly requests: readonly string[];
  /** How many planned faults have not been met. */
  pending(): number;
  stop(): Promise<void>;
}

/** @param ownPort default: any that is free */
export async function startFaultProxy(target: string, ownPort = 0): Promise<FaultProxy> {
  const plans: { matches: RegExp; fault: Fault; times: number }[] = [];
  const requests: string[] = [];
  const { hostname, port } = new URL(target);

  const server = createServer((incoming, outgoing) => {
    const what = `${incoming.method} ${incoming.url}`;
    requests.push(what);
    const plan = plans.find(({ matches, times }) => times > 0 && matches.test(what));
    if (plan) plan.times--;
    const fault = plan?.fault;
    incoming.on('error', () => {});
    outgoing.on('error', () => {});
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'answer') answer(incoming, outgoing, fault);
    else forward(incoming, outgoing, fault);
  });

  function forward(incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): void {
    const { expect: _, ...headers } = incoming.headers;
    const reset = () => incoming.socket.resetAndDestroy();
    const upstream = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, (response) => {
      if (fault?.kind === 'lose-answer') {
        response.resume().on('end', reset);
        return;
      }
      outgoing.writeHead(response.statusCode!, response.rawHeaders);
      if (incoming.method === 'HEAD') outgoing.end();
      let passedBytes = 0;
      response.on('data', (chunk: Buffer) => {
        const afterBytes =
          fault && 'afterBytes' in fault && fault.kind !== 'reset-upload' ? fault.afterBytes : Infinity;
        const piece = Buffer.from(chunk.subarray(0, Math.max(0, afterBytes - passedBytes)));
        if (fault?.kind === 'garble-download' && passedBytes === 0) piece[0]! ^= 1;
        passedBytes += chunk.length;
        if (passedBytes < afterBytes) outgoing.write(piece);
        else outgoing.write(piece, () => fault?.kind === 'reset-download' && reset());
      });
      response.on('end', () => {
        if (outgoing.writableEnded) return;
        if (fault?.kind !== 'stall-download' && fault?.kind !== 'reset-download') outgoing.end();
      });
    });
    // Swift sends a body after the headers of some answers to HEAD, which is noise.
    upstream.on('error', () => {
      if (!outgoing.writableEnded) reset();
    });
    incoming.on('close', () => {
      if (!incoming.complete) upstream.destroy();
    });
    let receivedBytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length;
      if (fault?.kind === 'reset-upload' && receivedBytes >= fault.afterBytes) {
        upstream.destroy();
        reset();
      } else upstream.write(chunk);
    });
    incoming.on('end', () => upstream.end());
  }

  server.listen(ownPort, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    requests,
    plan: (matches, fault, times = 1) => void plans.push({ matches, fault, times }),
    pending: () => plans.reduce((sum, { times }) => sum + times, 0),
    async stop() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code }: { status: number; code: string },
): void {
  incoming.resume().on('end', () => {
    outgoing.writeHead(status, { 'content-type': 'application/xml' });
    outgoing.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>planned</Message></Error>`);
  });
}
