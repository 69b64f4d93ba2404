/** A running installation for a bench: started through the launcher, spoken to over its command socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

export const root = fileURLToPath(new URL('..', import.meta.url));

export interface Installation {
  readonly dataDir: string;
  readonly port: number;
  readonly ca: string;
  readonly child: ChildProcess;
  /** One call over the command socket. Throws the problem document. */
  command<T>(method: string, path: string, body?: object): Promise<T>;
  /** Creates a tenant and waits until it is ready. */
  createTenant(name: string, app: string): Promise<{ tenantId: string; invitationUrl: string }>;
  /** Accepts an invitation. @returns the session's cookie */
  signUp(name: string, invitationUrl: string, password: string): Promise<string>;
  call<T>(
    name: string,
    method: string,
    path: string,
    cookie?: string,
    body?: object,
  ): Promise<{ status: number; json: T; setCookie: string[] }>;
  stop(): Promise<void>;
}

export async function startInstallation(env: Record<string, string> = {}, keep?: string): Promise<Installation> {
  const dataDir = keep ?? mkdtempSync(join(tmpdir(), 'fh-bench-'));
  chmodSync(dataDir, 0o711);
  const [port, consolePort] = [await freePort(), await freePort()];
  const child = spawn(
    join(root, 'freehold'),
    ['up', '--json', '--data', dataDir, '--port', String(port), '--console-port', String(consolePort)],
    {
      env: { PATH: process.env.PATH!, HOME: process.env.HOME!, FREEHOLD_LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ready = await new Promise<{ ca: string }>((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve(JSON.parse(String(chunk))));
    child.once('exit', (code) => reject(new Error(`up ended with ${code}`)));
  });
  const ca = readFileSync(ready.ca, 'utf8');
  const agent = new Agent({
    connect: {
      ca,
      lookup: (_host, options, done) =>
        options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    },
  });
  const command = <T>(method: string, path: string, body?: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const text = body ? JSON.stringify(body) : undefined;
      const outgoing = httpRequest(
        {
          socketPath: join(dataDir, 'run/control/command.sock'),
          method,
          path,
          headers: {
            host: 'localhost',
            ...(text ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {}),
          },
        },
        (response) => {
          let answer = '';
          response.on('data', (chunk) => (answer += chunk));
          response.on('end', () => {
            const json = answer ? JSON.parse(answer) : undefined;
            if (response.statusCode! < 400) resolve(json);
            else reject(new Error(answer));
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  const installation: Installation = {
    dataDir,
    port,
    ca,
    child,
    command,
    async createTenant(name, app) {
      const { operation } = await command<{ operation: { operationId: string; tenantId: string } }>(
        'POST',
        '/api/tenants',
        { name, app, adminEmail: 'admin@bench.example' },
      );
      for (;;) {
        const { state, error } = await command<{ state: string; error?: object }>(
          'GET',
          `/api/operations/${operation.operationId}`,
        );
        if (state === 'succeeded') break;
        if (state !== 'running') throw new Error(JSON.stringify(error));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const secret = await command<{ invitationUrl: string }>(
        'POST',
        `/api/operations/${operation.operationId}/secret-result`,
      );
      return { tenantId: operation.tenantId, invitationUrl: secret.invitationUrl };
    },
    async signUp(name, invitationUrl, password) {
      const { status, setCookie, json } = await installation.call<unknown>(
        name,
        'POST',
        new URL(invitationUrl).pathname.replace('/-/', '/-/api/'),
        undefined,
        { password, name: 'Bench' },
      );
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
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exited;
      if (!keep) rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return installation;
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

/** Prints the table and keeps the figures in bench/results/NAME.json. */
export function report(name: string, rows: readonly Record<string, string | number>[], facts: object): void {
  const columns = Object.keys(rows[0]!);
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]!.length)));
  for (const row of cells)
    console.log(
      row.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!))).join('  '),
    );
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version };
  writeFileSync(
    join(folder, `${name}.json`),
    `${JSON.stringify({ name, at: new Date().toISOString(), machine, rows, ...facts }, null, 2)}\n`,
  );
}
