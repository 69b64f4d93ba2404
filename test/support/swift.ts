/**
 * A throw-away S3 server that is not ours: OpenStack Swift from Debian's package (python3-swift) with its S3 API, four processes on loopback ports,
 * data in a temporary folder. The launcher installs the package for `./freehold test`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { randomName, waitFor } from '#src/kernel/index.ts';

/** The one of the system: packages of Debian are not seen by others. */
const python = '/usr/bin/python3';
const program = path.join(import.meta.dirname, 'swift_server.py');
const kinds = ['account', 'container', 'object', 'proxy'] as const;
type Kind = (typeof kinds)[number];

export interface SwiftOptions {
  /** Like Swift from 2.36 on: If-None-Match on PUT. Debian's refuses it, and honours it only when a multipart upload is completed. */
  readonly conditionalPut?: boolean;
  /** Like services that take If-None-Match and do not look at it. */
  readonly ignoreCondition?: boolean;
}

export interface SwiftServer {
  readonly endpoint: string;
  readonly location: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** An empty bucket. */
  createBucket(): Promise<string>;
  /** For looking behind the curtain. */
  readonly client: S3Client;
  stop(): Promise<void>;
}

export async function startSwift(options: SwiftOptions = {}): Promise<SwiftServer> {
  await promisify(execFile)(python, [
    '-c',
    'import importlib.util, sys; sys.exit(not importlib.util.find_spec("swift"))',
  ]).catch(() => {
    throw new Error(
      'OpenStack Swift is missing. ./freehold test installs it where it can; else: apt-get install python3-swift',
    );
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'freehold-swift-'));
  let server: ChildProcess | undefined;
  let log = '';

  async function stop(): Promise<void> {
    if (server && !hasEnded(server)) {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  }

  try {
    const ports = Object.fromEntries(await freePorts(kinds)) as Record<Kind, number>;
    await mkdir(path.join(folder, 'data/disk'), { recursive: true });
    await writeFile(path.join(folder, 'swift.conf'), swiftConf);
    for (const kind of kinds) await writeFile(path.join(folder, `${kind}.conf`), serverConf(kind, ports[kind], folder));
    // Ends with this process, even when that is killed.
    const command = [python, program, folder, JSON.stringify(ports), JSON.stringify(options)];
    const started = spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    server = started;
    for (const output of [started.stdout, started.stderr])
      output.on('data', (chunk) => {
        log = (log + chunk).slice(-4_000);
      });
    await waitFor(
      'Swift to answer',
      async () => {
        if (hasEnded(started)) throw new Error(`Swift did not start:\n${log}`);
        const answers = await Promise.all(kinds.map((kind) => isHealthy(ports[kind])));
        return answers.every(Boolean);
      },
      { deadlineMs: 120_000, everyMs: 100 },
    );
    const endpoint = `http://127.0.0.1:${ports.proxy}`;
    const client = new S3Client({
      endpoint,
      region: location,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    return {
      endpoint,
      location,
      accessKeyId,
      secretAccessKey,
      client,
      async createBucket() {
        const bucket = `bucket-${randomName(12)}`;
        await client.send(new CreateBucketCommand({ Bucket: bucket }));
        return bucket;
      },
      async stop() {
        client.destroy();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const location = 'eu-test-1';
const accessKeyId = 'freehold:tester';
// Fixed: the server lives for minutes and listens on loopback only.
const secretAccessKey = 'secret-of-a-throw-away-server';

const swiftConf = `[swift-hash]
swift_hash_path_suffix = throw-away

[storage-policy:0]
name = one
default = yes
`;

const proxyFilters = {
  catch_errors: '',
  gatekeeper: '',
  healthcheck: '',
  // No server behind it: Swift wants the filter to be there and goes on without answers.
  memcache: 'memcache_servers = 127.0.0.1:1',
  listing_formats: '',
  bulk: '',
  s3api: `location = ${location}`,
  tempauth: `user_${accessKeyId.replace(':', '_')} = ${secretAccessKey} .admin`,
  copy: '',
  slo: '',
  dlo: '',
};

function serverConf(kind: Kind, port: number, folder: string): string {
  const filters: Record<string, string> = kind === 'proxy' ? proxyFilters : { healthcheck: '' };
  return [
    '[DEFAULT]',
    'bind_ip = 127.0.0.1',
    `bind_port = ${port}`,
    `user = ${userInfo().username}`,
    `swift_dir = ${folder}`,
    `devices = ${path.join(folder, 'data')}`,
    'mount_check = false',
    'workers = 0',
    'disable_fallocate = true',
    'fallocate_reserve = 0',
    '[pipeline:main]',
    `pipeline = ${[...Object.keys(filters), `${kind}-server`].join(' ')}`,
    `[app:${kind}-server]`,
    `use = egg:swift#${kind}`,
    ...(kind === 'proxy' ? ['account_autocreate = true', 'error_suppression_limit = 1000000'] : []),
    ...Object.entries(filters).flatMap(([name, setting]) => [`[filter:${name}]`, `use = egg:swift#${name}`, setting]),
    '',
  ].join('\n');
}

async function freePorts<K extends string>(names: readonly K[]): Promise<[K, number][]> {
  const servers = names.map(() => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return names.map((name, i) => [name, ports[i]!]);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function isHealthy(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/healthcheck`).then(
    async (response) => (await response.text()) === 'OK',
    () => false,
  );
}
