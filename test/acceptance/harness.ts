/**
 * Black-box harness: talks to Freehold as its users do, over the command line, HTTPS and a real browser. Imports nothing of ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';

export const repository = fileURLToPath(new URL('../../', import.meta.url));
const launcher = join(repository, 'freehold');

export interface ReadyLine {
  readonly ready: true;
  readonly gateway: string;
  readonly console: string;
  readonly ca: string;
  readonly pid: number;
  readonly setupUrl?: string;
  readonly demo?: readonly { tenant: string; url: string; email: string; password: string }[];
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Freehold {
  readonly dataDir: string;
  readonly port: number;
  readonly consolePort: number;
  readonly child: ChildProcess;
  readonly ready: ReadyLine;
  readonly #env: Record<string, string>;

  private constructor(
    dataDir: string,
    port: number,
    consolePort: number,
    child: ChildProcess,
    ready: ReadyLine,
    env: Record<string, string>,
  ) {
    this.dataDir = dataDir;
    this.port = port;
    this.consolePort = consolePort;
    this.child = child;
    this.ready = ready;
    this.#env = env;
  }

  /** Runs `./freehold up --json` and waits for its line. The data folder is a new one unless given. */
  static async start({
    args = [],
    env = {},
    dataDir,
    port,
    consolePort,
    deadlineMs = 120_000,
    from = launcher,
  }: {
    args?: string[];
    env?: Record<string, string>;
    dataDir?: string;
    port?: number;
    consolePort?: number;
    deadlineMs?: number;
    /** The launcher of another checkout. */
    from?: string;
  } = {}): Promise<Freehold> {
    const folder = dataDir ?? newFolder();
    port ??= await freePort();
    consolePort ??= await freePort();
    const child = spawn(
      from,
      ['up', '--json', '--data', folder, '--port', String(port), '--console-port', String(consolePort), ...args],
      {
        cwd: repository,
        // A second server and four databases in advance cost every suite more than they show; the suites about them turn them on.
        env: { ...cleanEnv(), FREEHOLD_STANDBY: 'off', FREEHOLD_PREPARED_DATABASES: '1', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const ready = await new Promise<ReadyLine>((resolve, reject) => {
      let out = '';
      let errors = '';
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`not ready after ${deadlineMs} ms: ${errors}`));
      }, deadlineMs);
      child.stderr!.on('data', (chunk) => (errors += chunk));
      child.stdout!.on('data', (chunk) => {
        out += chunk;
        const end = out.indexOf('\n');
        if (end < 0) return;
        clearTimeout(timer);
        resolve(JSON.parse(out.slice(0, end)) as ReadyLine);
      });
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`up ended with ${signal ?? code}: ${errors}`));
      });
    });
    return new Freehold(folder, port, consolePort, child, ready, env);
  }

  /** Runs another command against this installation. */
  run(...args: string[]): Promise<CommandResult> {
    return runLauncher([...args, '--data', this.dataDir], this.#env);
  }

  async createTenant(
    name: string,
    adminEmail: string,
  ): Promise<{ tenantId: string; name: string; url: string; adminEmail: string; invitationUrl: string }> {
    const result = await this.run('tenant', 'create', name, '--admin-email', adminEmail, '--json');
    if (result.code !== 0) throw new Error(`tenant create failed: ${result.stderr}${this.readTroubles()}`);
    return JSON.parse(result.stdout);
  }

  client(host = new URL(this.ready.gateway).host): Client {
    return new Client(`https://${host}`, readFileSync(this.ready.ca, 'utf8'));
  }

  tenantClient(name: string): Client {
    return this.client(`${name}.localhost:${this.port}`);
  }

  /** Accepts the invitation and signs in. */
  async signUp(tenant: { name: string; invitationUrl: string; adminEmail: string }, password: string): Promise<Client> {
    const client = this.tenantClient(tenant.name);
    const token = new URL(tenant.invitationUrl).pathname.split('/').at(-1)!;
    const accepted = await client.send('POST', `/-/api/invitations/${token}`, { password });
    if (accepted.status >= 300) throw new Error(`invitation refused: ${accepted.status} ${accepted.text}`);
    const signedIn = await client.send('POST', '/-/api/session', { email: tenant.adminEmail, password });
    if (signedIn.status !== 201) throw new Error(`sign-in refused: ${signedIn.status} ${signedIn.text}`);
    return client;
  }

  /** What the processes logged as warnings and errors: for the message of a failing test. */
  readTroubles(): string {
    const folder = join(this.dataDir, 'log');
    return readdirSync(folder)
      .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
      .filter((line) => !line.startsWith('{"level":30') && line !== '')
      .join('\n');
  }

  /** SIGTERM, and waits for the end. Rejects when a process had ended by an error of its own meanwhile. */
  async stop({ keepData = false }: { keepData?: boolean } = {}): Promise<number | null> {
    const code = await stopChild(this.child, 'SIGTERM', 600_000);
    const crashes = findCrashes(this.dataDir);
    const groups = code === 0 ? findControlGroups(this.dataDir) : [];
    if (!keepData) rmSync(this.dataDir, { recursive: true, force: true });
    if (crashes.length > 0) throw new Error(`a process crashed:\n${crashes.join('\n')}`);
    if (groups.length > 0) throw new Error(`control groups were left: ${groups.join(', ')}`);
    return code;
  }
}

/** Of its apps, in either version; their names hold the end of the data folder's path. */
function findControlGroups(dataDir: string): string[] {
  const name = basename(dataDir).replace(/[^a-z0-9]+/gi, '-');
  return ['', 'cpu', 'memory', 'pids'].flatMap((controller) => {
    const folder = join('/sys/fs/cgroup', controller);
    return existsSync(folder)
      ? readdirSync(folder).filter((entry) => entry.startsWith('freehold-') && entry.includes(name))
      : [];
  });
}

/** Log lines of processes that ended by an error that nobody had caught. */
export function findCrashes(dataDir: string): string[] {
  const folder = join(dataDir, 'log');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
    .filter((line) => /"(uncaught exception|unhandled rejection)"/.test(line));
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
  readonly json: any;
}

/** No connection, or none with keys: nothing of a request has been sent. `code` is the cause's. */
export class NotConnected extends Error {
  readonly code: string | undefined;

  constructor(cause: Error) {
    super(`not connected: ${cause.message}`, { cause });
    this.code = (cause as NodeJS.ErrnoException).code;
  }
}

/** An HTTPS client of one origin with a cookie jar; `NAME.localhost` is loopback whatever the system's resolver thinks. */
export class Client {
  readonly origin: string;
  readonly cookies = new Map<string, string>();
  readonly #dispatcher: Dispatcher;

  constructor(origin: string, ca: string) {
    this.origin = origin;
    const connect = buildConnector({
      ca,
      lookup: (_host, options, done) =>
        options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    });
    this.#dispatcher = new Agent({
      connect: (options, done) =>
        connect(options, (error, socket) => {
          if (error) done(new NotConnected(error), null);
          else done(null, socket!);
        }),
    });
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const isRaw = body instanceof Uint8Array || typeof body === 'string';
    const answer = await request(`${this.origin}${path}`, {
      method: method as Dispatcher.HttpMethod,
      dispatcher: this.#dispatcher,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && !isRaw ? { 'content-type': 'application/json' } : {}),
        ...(this.cookies.size
          ? { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
          : {}),
        ...headers,
      },
      body: body === undefined ? null : isRaw ? (body as string) : JSON.stringify(body),
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [pair, ...attributes] = line.split(';');
      const name = pair!.slice(0, pair!.indexOf('='));
      const value = pair!.slice(pair!.indexOf('=') + 1);
      if (value === '' || attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute))) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    const text = bytes.toString();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: answer.statusCode, headers: answer.headers, text, bytes, json };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.send('GET', path, undefined, headers);
  }

  close(): Promise<void> {
    return this.#dispatcher.close();
  }
}

export function runLauncher(
  args: string[],
  env: Record<string, string> = {},
  cwd = repository,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(launcher, args, { cwd, env: { ...cleanEnv(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', reject);
    child.on('exit', (code) => resolve({ code, stdout, stderr }));
  });
}

export async function stopChild(
  child: ChildProcess,
  signal: NodeJS.Signals,
  deadlineMs: number,
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const code = await exited;
  clearTimeout(timer);
  return code;
}

/** Between two looks that are commands: each is a process. */
export const commandPauseMs = 400;

/** Waits until `condition` gives something other than undefined or false. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false>,
  deadlineMs = 180_000,
  everyMs = 50,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await delay(everyMs);
  }
}

/** PostgreSQL's own: of the version that the run names by FREEHOLD_PG_BIN, otherwise of the newest that is installed. */
export function pgRestore(): string {
  const named = process.env.FREEHOLD_PG_BIN;
  if (named) return join(named, 'pg_restore');
  const root = '/usr/lib/postgresql';
  const [newest] = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return join(root, newest!, 'bin', 'pg_restore');
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fh-'));
  chmodSync(folder, 0o711);
  return folder;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A headless Chromium of its own profile; the certificates of the local authority are checked by `Client`, not here. */
export function openBrowser({ isWhole = false }: { isWhole?: boolean } = {}): Promise<Browser> {
  // The shell is the same engine without windows and tabs, in less processor time.
  const names = [...(isWhole ? [] : ['chromium-headless-shell']), 'chromium', 'chromium-browser'];
  const paths = [process.env.FREEHOLD_CHROMIUM, ...names.map((name) => `/usr/bin/${name}`)];
  const executablePath = paths.find((path) => path && existsSync(path));
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export async function newPage(
  browser: Browser,
  options: { width?: number; height?: number; dark?: boolean } = {},
): Promise<Page> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.dark ? 'dark' : 'light',
  });
  return context.newPage();
}

/** Screenshots are kept as artefacts of the test run. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = join(repository, 'test-results', 'screenshots');
  mkdirSync(folder, { recursive: true });
  const take = () => page.screenshot({ path: join(folder, `${name}.png`) });
  // Now and then a busy Chromium cannot, and can the next moment; the page itself is looked at by the tests.
  await take().catch((error: Error) => {
    if (!/Unable to capture screenshot/.test(error.message)) throw error;
    return take();
  });
}

/** Of the settings only the PostgreSQL that the whole run is on. */
function cleanEnv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name, value]) =>
        value !== undefined &&
        (name === 'FREEHOLD_PG_BIN' || !name.startsWith('FREEHOLD_')) &&
        !name.startsWith('NODE_TEST'),
    ),
  ) as Record<string, string>;
}
