/**
 * `./freehold test`: formatting and lint (Biome), types (tsc), then every *.test.ts by node:test on real servers.
 * Fails when anything is left behind: a process that knows the run's folder, or a file in it.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findBinaries } from '#src/clusters/index.ts';
import { startSharedTestCluster } from './support/cluster.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const usage = `Usage: ./freehold test [--slow] [--quick] [FILE…]

  --slow    the long soak runs as well
  --quick   no lint and no types, only the tests
  FILE…     only these test files (globs allowed), for example 'src/keys/*.test.ts'

On another PostgreSQL than the newest installed: FREEHOLD_PG_BIN=FOLDER ./freehold test …
`;

const files: string[] = [];
let slow = false;
let quick = false;
for (const argument of process.argv.slice(2)) {
  if (argument === '--help' || argument === '-h') {
    process.stdout.write(usage);
    process.exit(0);
  } else if (argument === '--slow') slow = true;
  else if (argument === '--quick') quick = true;
  else if (argument.startsWith('-')) {
    process.stderr.write(`freehold: unknown option ${argument}\n\n${usage}`);
    process.exit(2);
  } else files.push(argument);
}

/** Of a file system in memory (Linux, statfs(2)). */
const tmpfsMagic = 0x01021994;
/** Twice what a run ever took, files and processes together. */
const roomInMemory = 12 * 2 ** 30;

const startedAt = performance.now();
const failures: string[] = [];

if (!quick) {
  await check('formatting and lint', [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'check',
    '--error-on-warnings',
    '.',
  ]);
  await check('types', [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]);
}

// One folder for everything that tests write, so that what is left of it can be seen. Others may pass: servers run under users of their own.
const runDir = mkdtempSync(join(placeOfFiles(), 'freehold-test-'));
chmodSync(runDir, 0o711);
const scratch = join(runDir, 'scratch');
mkdirSync(scratch, { mode: 0o777 });
chmodSync(scratch, 0o1777);
const results = join(root, 'test-results');
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const { version, binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
process.stdout.write(`freehold test: PostgreSQL ${version} in ${binDir}\n`);
const cluster = await startSharedTestCluster();
try {
  const patterns = files.length
    ? files
    : ['src/**/*.test.ts', 'apps/**/*.test.ts', 'web/**/*.test.ts', 'test/**/*.test.ts'];
  const paths = longestFirst(patterns.flatMap((pattern) => globSync(pattern, { cwd: root })));
  if (paths.length === 0) failures.push(`no test file matches ${patterns.join(' ')}`);
  else {
    const code = await run([join(root, 'test/support/run-files.ts'), ...paths.map((path) => join(root, path))], {
      TMPDIR: scratch,
      // Of this run: programs that tests change and copy leave nothing in the checkout's own.
      NODE_COMPILE_CACHE: join(runDir, 'compile-cache'),
      FREEHOLD_TEST_CLUSTER: cluster.announcement,
      ...(slow ? { FREEHOLD_SLOW_TESTS: '1' } : {}),
    });
    if (code !== 0) failures.push('tests');
  }
} finally {
  await cluster.stop();
}

// Whoever was told to end may still be ending.
for (let tries = 0; tries < 600 && findProcesses(runDir).length > 0; tries++) await delay(100);
for (const left of findProcesses(runDir)) {
  failures.push(`left running: ${left}`);
  try {
    process.kill(Number.parseInt(left, 10), 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
for (const name of readdirSync(scratch)) failures.push(`left in the temporary folder: ${name}`);
rmSync(runDir, { recursive: true, force: true });

const seconds = Math.round((performance.now() - startedAt) / 1000);
if (failures.length) {
  process.stdout.write(
    `\nfreehold test: FAILED after ${seconds} s\n${failures.map((line) => `  ${line}`).join('\n')}\n`,
  );
  process.exit(1);
}
process.stdout.write(`\nfreehold test: everything passed in ${seconds} s\n`);

/**
 * Databases are made and dropped by the hundred, thousands of files each time: in memory where there is plenty, which saves a disk most of
 * it. What tests about durability kill are processes, never the machine, so nothing is tested less. TMPDIR names another place.
 */
function placeOfFiles(): string {
  const memory = '/dev/shm';
  if (process.env.TMPDIR || !existsSync(memory)) return tmpdir();
  const { type, bavail, bsize } = statfsSync(memory);
  return type === tmpfsMagic && bavail * bsize > roomInMemory && freemem() > roomInMemory ? memory : tmpdir();
}

/** Suites of whole installations take minutes, most others seconds: begun last, one of them would run alone at the end. */
function longestFirst(paths: readonly string[]): string[] {
  const long = [
    'test/isolation/planted',
    'test/faults/lifecycle',
    'test/faults/',
    'test/isolation/',
    'test/acceptance/',
    'test/',
  ];
  const rank = (path: string) => long.findIndex((prefix) => path.startsWith(prefix)) >>> 0;
  return [...new Set(paths)].sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
}

async function check(what: string, args: string[]): Promise<void> {
  process.stdout.write(`freehold test: ${what}\n`);
  const code = await run(args, {});
  if (code !== 0) failures.push(what);
}

function run(args: string[], env: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'test', ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

/** Processes that mention the run's folder in their command, environment or working folder (Linux; elsewhere `ps`). */
function findProcesses(folder: string): string[] {
  if (!existsSync('/proc/self')) {
    const listing = spawnSync('ps', ['axww', '-o', 'pid=,command='], { encoding: 'utf8' }).stdout ?? '';
    return listing.split('\n').filter((line) => line.includes(folder));
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const read = (file: string): string => {
        try {
          return file === 'cwd' ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${file}`, 'utf8');
        } catch {
          return '';
        }
      };
      const command = read('cmdline').replaceAll('\0', ' ').trim();
      return [command, read('environ'), read('cwd')].some((text) => text.includes(folder)) ? [`${pid} ${command}`] : [];
    });
}
