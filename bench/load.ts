/**
 * A load generator that costs little: HTTP/1.1 over TLS on raw sockets, each connection bound to one host (SNI = Host), reopened to another
 * host after some requests. Run as a process of its own: `node bench/load.ts PLAN.json` prints one JSON line.
 */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';

export interface LoadTarget {
  readonly host: string;
  readonly path: string;
  readonly cookie?: string;
}
export interface LoadPlan {
  readonly port: number;
  readonly ca: string;
  readonly targets: readonly LoadTarget[];
  /** Zipf exponent of the targets' popularity, first most popular; 0: all alike. */
  readonly zipf: number;
  readonly connections: number;
  readonly requestsPerConnection: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly seed: number;
  /** A path that every answer must have in its body, to know that it is the right one. */
  readonly expect: string;
}
export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly handshakes: number;
  readonly failures: number;
}

export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const random = mulberry32(plan.seed);
  const weights = plan.targets.map((_, index) => 1 / (index + 1) ** plan.zipf);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const choose = (): LoadTarget => {
    let rest = random() * total;
    for (const [index, weight] of weights.entries()) {
      rest -= weight;
      if (rest <= 0) return plan.targets[index]!;
    }
    return plan.targets.at(-1)!;
  };
  const latencies: number[] = [];
  let handshakes = 0;
  let failures = 0;
  const begin = performance.now() + plan.warmUpMs;
  const end = begin + plan.durationMs;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const target = choose();
      const socket = await open(plan, target.host);
      if (performance.now() > begin) handshakes++;
      const request = `GET ${target.path} HTTP/1.1\r\nHost: ${target.host}:${plan.port}\r\nAccept: application/json\r\n${target.cookie ? `Cookie: ${target.cookie}\r\n` : ''}\r\n`;
      for (let count = 0; count < plan.requestsPerConnection && performance.now() < end; count++) {
        const startedMs = performance.now();
        const answer = await exchange(socket, request);
        const now = performance.now();
        if (startedMs < begin) continue;
        if (answer.startsWith('HTTP/1.1 200') && answer.includes(plan.expect)) latencies.push(now - startedMs);
        else {
          failures++;
          if (failures === 1) process.stderr.write(`first failure: ${answer.slice(0, 600)}\n`);
        }
      }
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: plan.connections }, worker));
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    requests: latencies.length,
    perSecond: latencies.length / (plan.durationMs / 1000),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    handshakes,
    failures,
  };
}

function open({ port, ca }: LoadPlan, host: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: host, ca, ALPNProtocols: ['http/1.1'] }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
  });
}

/** Sends one request and reads one answer with a Content-Length. */
function exchange(socket: TLSSocket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const length = /content-length: (\d+)/i.exec(text.slice(0, headEnd));
      if (length && text.length < headEnd + 4 + Number(length[1])) return;
      done();
      resolve(text);
    };
    const onEnd = (): void => {
      done();
      reject(new Error(`connection ended: ${text.slice(0, 200)}`));
    };
    const done = (): void => {
      socket.off('data', onData);
      socket.off('close', onEnd);
    };
    socket.on('data', onData);
    socket.on('close', onEnd);
    socket.write(request);
  });
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as LoadPlan;
  process.stdout.write(`${JSON.stringify(await runLoad(plan))}\n`);
}
