/**
 * Base backup into two regions against pgBackRest, on the same server with the same tenants, in turn: everything, only what has changed, the files of the
 * whole server back, the files of one tenant back. Both encrypt, compress, check pages and end with two complete copies; pgBackRest needs a
 * run per repository for that. As it comes (gz, one process) and tuned (zst, a process per core, small files bundled).
 *
 *   node bench/base-backup.ts [--tenants 300] [--rows 2000] [--rounds 3] [--level 3]
 */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type BaseBackupOptions,
  readClusterFacts,
  readDatabases,
  restoreFiles,
  runBaseBackup,
} from '#src/backups/index.ts';
import { newId, randomBytes, randomName, silentLog, type TenantId } from '#src/kernel/index.ts';
import type { BackupKey, KeyId } from '#src/keys/index.ts';
import { createDiskRegion } from '#src/objects/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { startOwnCluster } from '../test/support/own-cluster.ts';
import { median, type Row, report, round } from './report.ts';

const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '300' },
    rows: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    level: { type: 'string', default: '3' },
  },
});
const [tenants, rowsPerTenant, rounds, compressionLevel] = [
  values.tenants,
  values.rows,
  values.rounds,
  values.level,
].map(Number) as [number, number, number, number];

interface Contestant {
  readonly name: string;
  /** Everything, into two new places. */
  full(): Promise<void>;
  /** Once more after something has changed. */
  again(): Promise<void>;
  /** Files only: no replay. */
  restore(into: string, database?: string): Promise<void>;
  storedBytes(): number;
}

const figures = [
  'full backup, two regions',
  'again after one tenant changed',
  'all files back',
  "one tenant's files back",
] as const;
type Figure = (typeof figures)[number] | 'stored in both, MiB' | 'stored by the second, MiB';

installPgBackRest();
const own = await startOwnCluster();
const control = await own.connect();
try {
  const databases = await createTenants();
  const [{ bytes }] = (await control.query<{ bytes: string }>(
    'SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database',
  )) as [{ bytes: string }];
  console.log(`${tenants} tenants, ${Math.round(Number(bytes) / 1024 ** 2)} MiB`);
  const measured = new Map<string, Map<Figure, number[]>>();
  for (let index = 0; index < rounds; index++) {
    const contestants = [
      await freehold(databases),
      pgBackRest('pgBackRest', []),
      pgBackRest('pgBackRest, tuned', [
        'compress-type=zst',
        'compress-level=3',
        `process-max=${cpus().length}`,
        'repo1-bundle=y',
        'repo2-bundle=y',
      ]),
    ];
    // Nobody always goes first.
    if (index % 2 === 1) contestants.reverse();
    for (const contestant of contestants) {
      const of = measured.get(contestant.name) ?? new Map<Figure, number[]>();
      measured.set(contestant.name, of);
      await measure(contestant, of, databases[index % databases.length]!.name);
    }
  }
  report('base-backup', rowsOf(measured), {
    options: { tenants, rowsPerTenant, rounds, compressionLevel },
    databaseBytes: Number(bytes),
    pgBackRest: execFileSync('pgbackrest', ['version']).toString().trim(),
    postgres: own.cluster.options.binaries.version,
    seconds: Object.fromEntries([...measured].map(([name, of]) => [name, Object.fromEntries(of)])),
  });
} finally {
  await control.close();
  await own.remove();
}

async function measure(contestant: Contestant, into: Map<Figure, number[]>, database: string): Promise<void> {
  const keep = (figure: Figure, value: number) => into.set(figure, [...(into.get(figure) ?? []), value]);
  const time = async (figure: Figure, work: () => Promise<void>) => {
    const startedMs = performance.now();
    await work();
    keep(figure, (performance.now() - startedMs) / 1000);
    console.log(`${contestant.name}: ${figure}: ${round(into.get(figure)!.at(-1)!)} s`);
  };
  await time(figures[0], contestant.full);
  const first = contestant.storedBytes();
  keep('stored in both, MiB', first / 1024 ** 2);
  const changing = await openConnection({ ...own.control, database }, { applicationName: 'bench' });
  await changing.query("UPDATE app.items SET text = text || ' changed' WHERE item_id % 10 = 0");
  await changing.close();
  await time(figures[1], contestant.again);
  keep('stored by the second, MiB', (contestant.storedBytes() - first) / 1024 ** 2);
  for (const [figure, only] of [
    [figures[2], undefined],
    [figures[3], database],
  ] as const) {
    const folder = newFolder('restored');
    const target = join(folder, 'data');
    await time(figure, () => contestant.restore(target, only));
    if (!existsSync(join(target, 'PG_VERSION'))) throw new Error(`${contestant.name} restored nothing`);
    rmSync(folder, { recursive: true });
  }
}

async function createTenants(): Promise<{ oid: number; name: string; tenantId: TenantId }[]> {
  await control.query('CREATE DATABASE bench_template');
  const template = await openConnection({ ...own.control, database: 'bench_template' }, { applicationName: 'bench' });
  await template.script('CREATE SCHEMA app; CREATE TABLE app.items (item_id bigint PRIMARY KEY, text text NOT NULL)');
  await template.close();
  const made = [];
  for (let index = 0; index < tenants; index++) {
    const name = `t_${randomName(20)}`;
    await control.query(`CREATE DATABASE ${name} TEMPLATE bench_template`);
    const connection = await openConnection({ ...own.control, database: name }, { applicationName: 'bench' });
    // Every tenant's own text, half as random as can be, half as alike as prose is.
    await connection.query(
      `INSERT INTO app.items SELECT number, md5(number::text || $1) || repeat(' what people write', 5) FROM generate_series(1, $2::int) AS number`,
      [name, rowsPerTenant],
    );
    await connection.query('VACUUM app.items');
    const [row] = await connection.query<{ oid: number }>(
      'SELECT oid FROM pg_database WHERE datname = current_database()',
    );
    await connection.close();
    made.push({ oid: row!.oid, name, tenantId: newId('ten') });
    if (made.length % 50 === 0) process.stderr.write(`${made.length} tenants\n`);
  }
  return made;
}

async function freehold(owned: readonly { oid: number; tenantId: TenantId }[]): Promise<Contestant> {
  const folders = [newFolder('north'), newFolder('south')];
  const regions = folders.map((root, index) => createDiskRegion({ region: `region_${index}`, root, initialise: true }));
  for (const region of regions) await region.stat('kits/none');
  const secret = new Map<KeyId, BackupKey>();
  const openKey = async (keyId: KeyId) => {
    const key = secret.get(keyId) ?? { keyId, key: randomBytes(32) };
    secret.set(keyId, key);
    return key;
  };
  const tenantOf = new Map(owned.map(({ oid, tenantId }) => [oid, tenantId]));
  const options: BaseBackupOptions = {
    clusterId: newId('clu'),
    facts: await readClusterFacts(control),
    binaries: own.cluster.options.binaries,
    target: own.replication,
    regions,
    keys: { currentKey: (owner) => openKey(`${owner}.1`) },
    listDatabases: async () =>
      (await readDatabases(control)).map(({ oid, name }) => ({ oid, name, tenantId: tenantOf.get(oid) })),
    checkpoint: 'fast',
    compressionLevel,
    log: silentLog,
  };
  let manifest: Awaited<ReturnType<typeof runBaseBackup>>['manifest'];
  return {
    name: 'Freehold',
    async full() {
      ({ manifest } = await runBaseBackup(options));
    },
    async again() {
      ({ manifest } = await runBaseBackup({ ...options, previous: manifest }));
    },
    async restore(into, database) {
      const chosen = manifest.databases.filter(({ name, tenantId }) => name === database || !tenantId);
      await restoreFiles({
        region: regions[0]!,
        manifest,
        keys: { openKey },
        into,
        databases: database ? chosen.map(({ oid }) => oid) : 'all',
        owner: own.osUser,
      });
    },
    storedBytes: () => folders.reduce((sum, folder) => sum + bytesIn(folder), 0),
  };
}

function pgBackRest(name: string, tuning: readonly string[]): Contestant {
  const home = newFolder('pgbackrest');
  const repositories = [newFolder('repository'), newFolder('repository')];
  const config = join(home, 'pgbackrest.conf');
  const { dataDir, socketDir, port } = own.cluster.options;
  const lines = [
    '[global]',
    ...repositories.flatMap((folder, index) => [
      `repo${index + 1}-path=${folder}`,
      `repo${index + 1}-cipher-type=aes-256-cbc`,
      `repo${index + 1}-cipher-pass=${randomName(48)}`,
      `repo${index + 1}-retention-full=9`,
    ]),
    `lock-path=${home}`,
    `spool-path=${home}`,
    `log-path=${home}`,
    'log-level-file=off',
    'log-level-console=off',
    'log-level-stderr=error',
    'start-fast=y',
    // The backup alone is measured; WAL goes its own way in both.
    'archive-check=n',
    ...tuning,
    '[bench]',
    `pg1-path=${dataDir}`,
    `pg1-socket-path=${socketDir}`,
    `pg1-port=${port}`,
    'pg1-user=postgres',
    '',
  ];
  writeFileSync(config, lines.join('\n'), { mode: 0o644 });
  const run = (...args: string[]) => {
    execFileSync('pgbackrest', [`--config=${config}`, '--stanza=bench', ...args], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'ignore', 'inherit'],
      ...(own.osUser && { uid: own.osUser.uid, gid: own.osUser.gid }),
    });
  };
  run('stanza-create');
  const backup = async (type: string) => {
    for (const repository of [1, 2]) run(`--repo=${repository}`, `--type=${type}`, 'backup');
  };
  return {
    name,
    full: () => backup('full'),
    again: () => backup('incr'),
    async restore(into, database) {
      mkdirSync(into, { mode: 0o700 });
      give(into);
      run('--repo=1', `--pg1-path=${into}`, ...(database ? [`--db-include=${database}`] : []), 'restore');
    },
    storedBytes: () => repositories.reduce((sum, folder) => sum + bytesIn(folder), 0),
  };
}

function rowsOf(measured: ReadonlyMap<string, ReadonlyMap<Figure, number[]>>): Row[] {
  const [ours, plain, tuned] = ['Freehold', 'pgBackRest', 'pgBackRest, tuned'].map((name) => measured.get(name)!);
  return [...ours!.keys()].map((figure) => {
    const [a, b, c] = [ours!, plain!, tuned!].map((of) => median(of.get(figure)!)) as [number, number, number];
    return {
      '': figure.includes('MiB') ? figure : `${figure}, s`,
      Freehold: round(a),
      pgBackRest: round(b),
      ratio: round(a / b),
      'pgBackRest, tuned': round(c),
      'ratio to tuned': round(a / c),
    };
  });
}

function newFolder(name: string): string {
  const folder = join(own.folder, `${name}-${randomName(8)}`);
  mkdirSync(folder, { mode: 0o755 });
  give(folder);
  return folder;
}

function give(path: string): void {
  if (own.osUser) chownSync(path, own.osUser.uid, own.osUser.gid);
}

function bytesIn(folder: string): number {
  return Number.parseInt(execFileSync('du', ['--summarize', '--bytes', folder]).toString(), 10);
}

function installPgBackRest(): void {
  if (existsSync('/usr/bin/pgbackrest')) return;
  console.log('installing pgbackrest');
  execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', 'pgbackrest'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}
