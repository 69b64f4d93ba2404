/** A running installation for a bench: started through the launcher, spoken to over its command socket and over HTTPS. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

export const root = fileURLToPath(new URL('..', import.meta.url));

export interface CreatedTenant {
  readonly tenantId: string;
  readonly invitationUrl: string;
  /** As the operation itself wrote it down. */
  readonly insideMs: number;
  /** From sending the command to hearing that it succeeded. */
  readonly outsideMs: number;
  readonly steps: readonly { readonly name: string; readonly ms: number }[];
}

export interface Installation {
  readonly dataDir: string;
  readonly port: number;
  readonly ca: string;
  readonly child: ChildProcess;
  /** From the command to its ready line. */
  readonly startedInMs: number;
  /** One call over the command socket; throws the problem document. */
  command<T>(method: string, path: string, body?: object): Promise<T>;
  /** Creates a tenant and waits until it can be signed into. */
  createTenant(name: string, app: string): Promise<CreatedTenant>;
  /** Accepts an invitation. @returns the session's cookie */
  signUp(name: string, invitationUrl: string, password: string): Promise<string>;
  call<T>(
    name: string,
    method: string,
    path: string,
    cookie?: string,
    body?: object,
  ): Promise<{ status: number; json: T; setCookie: string[] }>;
  /** Resolves when no daily work (base backup, dumps, verification) runs; rejects after ten minutes. */
  betweenJobs(): Promise<void>;
  /** Stops it in order; the data folder is removed unless it was given. */
  stop(): Promise<void>;
}

interface Operation {
  readonly operationId: string;
  readonly tenantId: string;
  readonly state: string;
  readonly error?: object;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly steps: readonly { name: string; startedAt?: string; finishedAt?: string }[];
}

export async function startInstallation(env: Record<string, string> = {}, keep?: string): Promise<Installation> {
  const dataDir = keep ?? newDataFolder();
  const [port, consolePort] = [await freePort(), await freePort()];
  const startedMs = performance.now();
  const up = ['up', '--json', '--data', dataDir, '--port', String(port), '--console-port', String(consolePort)];
  // Arguments for node itself are handed on to every part, for example --cpu-prof --cpu-prof-dir=DIR (a folder that others may write).
  const nodeArgs = (process.env.BENCH_FREEHOLD_ARGS ?? process.env.BENCH_NODE_ARGS)?.split(' ');
  const [program, args] = nodeArgs
    ? [process.execPath, [...nodeArgs, '--disable-proto=delete', join(root, 'src/main/cli.ts'), ...up]]
    : [join(root, 'freehold'), up];
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH!, HOME: process.env.HOME!, FREEHOLD_LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ready = await new Promise<{ ca: string }>((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve(JSON.parse(String(chunk))));
    child.once('exit', (code) => reject(new Error(`up ended with ${code}`)));
  });
  const startedInMs = performance.now() - startedMs;
  const ca = readFileSync(ready.ca, 'utf8');
  const agent = new Agent({
    connect: {
      ca,
      lookup: (_host, options, done) =>
        options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    },
  });
  const socketPath = join(dataDir, 'run/control/command.sock');
  const command = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await ask(socketPath, method, path, body);
    let answer = '';
    for await (const chunk of response.setEncoding('utf8')) answer += chunk;
    if (response.statusCode! >= 400) throw new Error(answer);
    return (answer ? JSON.parse(answer) : undefined) as T;
  };
  const installation: Installation = {
    dataDir,
    port,
    ca,
    child,
    startedInMs,
    command,
    async createTenant(name, app) {
      const sentMs = performance.now();
      const begun = await command<{ operation: Operation }>('POST', '/api/tenants', {
        name,
        app,
        adminEmail: 'admin@bench.example',
      });
      const { operationId, tenantId } = begun.operation;
      const operation = await followOperation(socketPath, operationId);
      const outsideMs = performance.now() - sentMs;
      if (operation.state !== 'succeeded') throw new Error(JSON.stringify(operation.error));
      const secret = await command<{ invitationUrl: string }>(
        'POST',
        `/api/operations/${operationId}/secret-result`,
        {},
      );
      return {
        tenantId,
        invitationUrl: secret.invitationUrl,
        outsideMs,
        insideMs: Date.parse(operation.finishedAt!) - Date.parse(operation.startedAt),
        steps: operation.steps.map((step) => ({
          name: step.name,
          ms: Date.parse(step.finishedAt!) - Date.parse(step.startedAt!),
        })),
      };
    },
    async betweenJobs() {
      const end = performance.now() + 600_000;
      let calm = 0;
      while (calm < 5) {
        const { jobs } = await command<{ jobs: { name: string; state: string }[] }>('GET', '/api/health');
        const running = jobs.filter(({ state }) => state === 'running').map(({ name }) => name);
        if (performance.now() > end) throw new Error(`still running after ten minutes: ${running.join(', ')}`);
        calm = running.length === 0 ? calm + 1 : 0;
        await delay(1_000);
      }
    },
    async signUp(name, invitationUrl, password) {
      const path = new URL(invitationUrl).pathname.replace('/-/', '/-/api/');
      const { status, setCookie, json } = await installation.call(name, 'POST', path, undefined, {
        password,
        name: 'Bench',
      });
      if (status !== 201) throw new Error(JSON.stringify(json));
      return setCookie.map((line) => line.split(';')[0]).join('; ');
    },
    async call(name, method, path, cookie, body) {
      const answer = await request(`https://${name}.localhost:${port}${path}`, {
        method: method as 'GET',
        dispatcher: agent,
        headers: {
          accept: 'application/json',
          ...(cookie ? { cookie } : {}),
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        body: body ? JSON.stringify(body) : null,
      });
      const text = await answer.body.text();
      return {
        status: answer.statusCode,
        json: text ? JSON.parse(text) : undefined,
        setCookie: [answer.headers['set-cookie'] ?? []].flat(),
      };
    },
    async stop() {
      await agent.close();
      if (child.exitCode === null && child.signalCode === null) {
        const exited = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await exited;
      }
      if (!keep) rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return installation;
}

/** Others may pass: the parts of an installation run as users of their own. */
export function newDataFolder(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'fh-bench-'));
  chmodSync(dataDir, 0o711);
  return dataDir;
}

function ask(socketPath: string, method: string, path: string, body?: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = body ? JSON.stringify(body) : undefined;
    const headers = {
      host: 'localhost',
      ...(text ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {}),
    };
    httpRequest({ socketPath, method, path, headers }, resolve).on('error', reject).end(text);
  });
}

/** Listens to the operation's event stream, as the command line does, until it no longer runs. */
async function followOperation(socketPath: string, operationId: string): Promise<Operation> {
  const response = await ask(socketPath, 'GET', `/api/operations/${operationId}/events`);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      const operation = data ? (JSON.parse(data) as Operation) : undefined;
      if (operation?.state && operation.state !== 'running') return operation;
    }
  }
  throw new Error('the event stream ended before the operation');
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Runs `work` for every item, some at a time. */
export async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(concurrency, items.length) }, async () => {
      for (let index = next++; index < items.length; index = next++) await work(items[index]!, index);
    }),
  );
}
