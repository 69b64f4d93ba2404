/** Starts the bare app beside an installation: one table with all tenants' rows, on the same PostgreSQL server. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { freePort, type Installation, root } from './installation.ts';
import { controlTarget, withServer } from './server.ts';

export interface Note {
  readonly id: string;
  readonly text: string;
  readonly authorId: string;
  readonly hasFile: boolean;
  readonly createdAt: string;
}
export interface BarePeer {
  readonly port: number;
  readonly pid: number;
  /** The host of its certificate. */
  readonly host: string;
  stop(): Promise<void>;
}

const database = 'bench_bare';

/** Makes the table; once per installation. @returns how the app reaches it */
export async function makeBareTable(dataDir: string, notes: readonly Note[]): Promise<object> {
  const control = controlTarget(dataDir);
  const target = { ...control, database, user: database, password: randomBytes(32).toString('base64url') };
  await withServer(control, async (client) => {
    await client.query(`CREATE ROLE ${database} LOGIN PASSWORD '${target.password}'`);
    await client.query(`CREATE DATABASE ${database} TEMPLATE template0`);
  });
  await withServer({ ...control, database }, async (client) => {
    await client.query(`CREATE TABLE notes (note_id text PRIMARY KEY, text text NOT NULL, file_id text, author_id text NOT NULL,
      created_at timestamptz NOT NULL)`);
    await client.query(
      `INSERT INTO notes SELECT x->>'id', x->>'text', NULL, x->>'authorId', (x->>'createdAt')::timestamptz
       FROM json_array_elements($1) x`,
      [JSON.stringify(notes)],
    );
    await client.query(`GRANT SELECT ON notes TO ${database}`);
    await client.query('VACUUM ANALYZE notes');
  });
  return target;
}

export async function startBareApp(installation: Installation, target: object, host: string): Promise<BarePeer> {
  const { dataDir } = installation;
  const port = await freePort();
  const config = join(dataDir, 'bench-bare.json');
  const key = readFileSync(join(dataDir, 'tls/gateway.key'), 'utf8');
  const cert = await certificateOf(installation, host);
  writeFileSync(config, JSON.stringify({ target, port, key, cert }), { mode: 0o600 });
  const nodeArgs = process.env.BENCH_NODE_ARGS?.split(' ') ?? [];
  const child = spawn(process.execPath, [...nodeArgs, join(root, 'bench/bare-app.ts'), config], {
    cwd: root,
    env: { PATH: process.env.PATH!, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    port,
    pid: child.pid!,
    host,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The certificate that the gateway shows for a host. */
async function certificateOf({ port, ca }: Installation, host: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, servername: host, ca });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
