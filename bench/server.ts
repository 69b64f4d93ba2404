/** The installation's own PostgreSQL server, as the role of control: for peers on the same server, and for looking at it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

export function controlTarget(dataDir: string): Target {
  const stored = JSON.parse(readFileSync(join(dataDir, 'control/database.json'), 'utf8'));
  return { ...stored, host: join(dataDir, 'run/pg') };
}

export async function withServer<T>(target: Target, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(target);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
