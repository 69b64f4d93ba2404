/**
 * A load generator that costs little: HTTP/1.1 over TLS on raw sockets, each connection bound to one host (SNI = Host) and reopened to
 * another after some requests, as browsers come and go. A process of its own: `node bench/load.ts PLAN.json` prints one JSON line.
 */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';

export interface LoadTarget {
  readonly host: string;
  /** Asked in turn. */
  readonly paths: readonly string[];
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
}
export interface LoadResult {
  /** Within the measured time. */
  readonly requests: number;
  /** Warm-up included. */
  readonly allRequests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly handshakes: number;
  /** Answers that were not 200, or not the row that was asked for. */
  readonly failures: number;
}

export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const random = mulberry32(plan.seed);
  const choose = chooser(plan, random);
  const latencies: number[] = [];
  let handshakes = 0;
  let failures = 0;
  let allRequests = 0;
  const begin = performance.now() + plan.warmUpMs;
  const end = begin + plan.durationMs;
  const worker = async (): Promise<void> => {
    // The first connection of each is shorter, or all would be reopened at once again and again.
    let left = 1 + Math.floor(random() * plan.requestsPerConnection);
    while (performance.now() < end) {
      const target = choose();
      const socket = await open(plan, target.host);
      if (performance.now() > begin) handshakes++;
      const requests = target.paths.map((path) => ({
        text: `GET ${path} HTTP/1.1\r\nHost: ${target.host}:${plan.port}\r\nAccept: application/json\r\n${target.cookie ? `Cookie: ${target.cookie}\r\n` : ''}\r\n`,
        expect: `"id":"${path.slice(path.lastIndexOf('/') + 1)}"`,
      }));
      for (; left > 0 && performance.now() < end; left--) {
        const { text, expect } = requests[left % requests.length]!;
        const startedMs = performance.now();
        const answer = await exchange(socket, text);
        const now = performance.now();
        allRequests++;
        if (startedMs < begin || now > end) continue;
        if (answer.startsWith('HTTP/1.1 200') && answer.includes(expect)) latencies.push(now - startedMs);
        else if (failures++ === 0) process.stderr.write(`first failure: ${answer.slice(0, 600)}\n`);
      }
      left = plan.requestsPerConnection;
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: plan.connections }, worker));
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    requests: latencies.length,
    allRequests,
    perSecond: latencies.length / (plan.durationMs / 1000),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    handshakes,
    failures,
  };
}

function chooser({ targets, zipf }: LoadPlan, random: () => number): () => LoadTarget {
  const weights = targets.map((_, index) => 1 / (index + 1) ** zipf);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return () => {
    let rest = random() * total;
    for (const [index, weight] of weights.entries()) {
      rest -= weight;
      if (rest <= 0) return targets[index]!;
    }
    return targets.at(-1)!;
  };
}

function open({ port, ca }: LoadPlan, host: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: host, ca, ALPNProtocols: ['http/1.1'] }, () =>
      resolve(socket),
    );
    socket.setNoDelay(true);
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
    const onClose = (): void => {
      done();
      reject(new Error(`the connection ended: ${text.slice(0, 200)}`));
    };
    const done = (): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.write(request);
  });
}

/** Small random numbers from a seed, so that both sides meet the same sequence of hosts. */
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
