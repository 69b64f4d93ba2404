import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkTree } from './architecture/check.ts';
import { scanFile } from './architecture/scan.ts';

const top = fileURLToPath(new URL('..', import.meta.url));

test('the tree follows docs/architecture.md', (context) => {
  const report = checkTree(readTree());
  for (const { path, text } of report.warnings) context.diagnostic(`long file: ${path}, ${text}`);
  assert.equal(
    report.violations.map(({ path, line, rule, text }) => `${path}:${line} [${rule}] ${text}`).join('\n'),
    '',
  );
});

/** Everything that git knows or would take: what is ignored is not ours. */
function readTree(): Record<string, string> {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: top });
  const paths = listed.toString().split('\0');
  const wanted = paths.filter((path) =>
    /^(src|apps|web|test|bench)\/.*\.tsx?$|^(migrations|apps)\/.*\.sql$/.test(path),
  );
  assert.ok(wanted.length > 20, 'found no sources');
  const present = wanted.filter((path) => existsSync(join(top, path)));
  return Object.fromEntries(present.map((path) => [path, readFileSync(join(top, path), 'utf8')]));
}

/** A tree without violations, to plant one in. */
const sound: Record<string, string> = {
  'src/kernel/index.ts':
    '/**\n * kernel: ids, time, random numbers, errors; everything may import it.\n */\nexport {};\n',
  'src/postgres/index.ts': '/**\n * postgres: pool and transaction, for databases and tenants.\n */\nexport {};\n',
  'src/keys/index.ts': '/**\n * keys: the key hierarchy; the only place with ciphers.\n */\nexport {};\n',
  'src/databases/index.ts': '/**\n * databases: the only way to the data of a tenant.\n */\nexport {};\n',
  'src/files/index.ts': '/**\n * files: what users upload, sealed under the key of the tenant.\n */\nexport {};\n',
  'src/identity/index.ts': '/**\n * identity: users and sessions of a tenant, in its own database.\n */\nexport {};\n',
  'src/identity/types.ts': 'export interface Session {}\n',
  'src/staff/index.ts': '/**\n * staff: the people of the operator; they use the console.\n */\nexport {};\n',
  'src/hosting/index.ts': '/**\n * hosting: runs apps inside the gateway, for one tenant at a time.\n */\nexport {};\n',
  'src/gateway/index.ts':
    "/**\n * gateway: host to tenant to session to app.\n */\nimport {} from '#src/hosting/index.ts';\n",
  'apps/sdk/index.ts': 'export interface App {}\n',
  'apps/desk/index.ts': "import type { App } from '../sdk/index.ts';\n",
  'apps/desk/api.ts': 'export interface Item {}\n',
  'apps/desk/web/page.tsx': "import type { Item } from '../api.ts';\nexport const p = <p>Don't skip</p>;\n",
  'web/design/theme.ts': "import { MantineProvider } from '@mantine/core';\n",
  'test/some.test.ts': "import { test } from 'node:test';\nimport '#src/keys/store.ts';\ntest('x', () => {});\n",
  'migrations/control/0001_a.sql': '-- SELECT * is fine in a comment\nSELECT a FROM b;\n',
};

test('a sound tree has no violation', () => assert.deepEqual(checkTree(sound).violations, []));

const planted: [string, rule: string, path: string, text: string][] = [
  [
    'a lower layer imports a higher one',
    'one-way',
    'src/keys/store.ts',
    "import { x } from '#src/gateway/index.ts';\n",
  ],
  ['the same by a relative path', 'one-way', 'src/keys/store.ts', "import { x } from '../gateway/index.ts';\n"],
  ['the same on several lines', 'one-way', 'src/kernel/a.ts', "import {\n  x,\n  y,\n} from '#src/keys/index.ts';\n"],
  ['the same by re-export', 'one-way', 'src/kernel/a.ts', "export * from '#src/keys/index.ts';\n"],
  ['the same dynamically', 'one-way', 'src/kernel/a.ts', "const x = await import('#src/keys/index.ts');\n"],
  ['the same for its effects', 'one-way', 'src/kernel/a.ts', "import '#src/keys/index.ts';\n"],
  ['the same after code on the line', 'one-way', 'src/kernel/a.ts', "const a = 1; import '#src/keys/index.ts';\n"],
  ['the same for a type', 'one-way', 'src/kernel/a.ts', "import type { X } from '#src/keys/types.ts';\n"],
  ['a feature imports another', 'one-way', 'src/hosting/a.ts', "import { x } from '#src/identity/index.ts';\n"],
  ['identity imports staff', 'one-way', 'src/identity/a.ts', "import { x } from '#src/staff/index.ts';\n"],
  [
    'two technologies meet',
    'one-way',
    'src/http/index.ts',
    `/**\n * http: ${'x'.repeat(60)}\n */\nimport '#src/postgres/index.ts';\n`,
  ],
  ['production imports a test', 'one-way', 'src/keys/a.ts', "import { x } from '../../test/support/cluster.ts';\n"],
  ['a folder without a layer', 'one-way', 'src/billing/index.ts', `/**\n * billing: ${'x'.repeat(60)}\n */\n`],
  ['the inside of another folder', 'front-door', 'src/hosting/a.ts', "import { x } from '#src/keys/store.ts';\n"],
  ['its inside, types only', 'front-door', 'src/hosting/a.ts', "import type { X } from '#src/keys/store.ts';\n"],
  ['an app imports the platform', 'apart', 'apps/desk/a.ts', "import { x } from '#src/files/index.ts';\n"],
  ['an app imports it by path', 'apart', 'apps/desk/a.ts', "import { x } from '../../src/files/index.ts';\n"],
  ['an app imports another app', 'apart', 'apps/desk/a.ts', "import { x } from '../flow/index.ts';\n"],
  ['an app imports its page', 'apart', 'apps/desk/a.ts', "import { x } from './web/page.tsx';\n"],
  ['a page imports the platform', 'apart', 'web/console/a.tsx', "import type { X } from '#src/tenants/types.ts';\n"],
  ["a page imports its app's server", 'apart', 'apps/desk/web/a.tsx', "import { sql } from '../sql.ts';\n"],
  ['a shared page imports an app', 'apart', 'web/design/a.tsx', "import type { X } from '../../apps/desk/api.ts';\n"],
  ['the gateway imports an app', 'apart', 'src/gateway/a.ts', "import desk from '../../apps/desk/index.ts';\n"],
  ['the platform imports a page', 'apart', 'src/gateway/a.ts', "import { x } from '../../web/design/theme.ts';\n"],
  ['process.env in a module', 'single-owner', 'src/keys/a.ts', 'const a = process.env.HOME;\n'],
  [
    'process.env inside a template',
    'single-owner',
    'src/keys/a.ts',
    `const a = \`x \${\`\${process.env.HOME}\`} y\`;\n`,
  ],
  ['env taken from the module', 'single-owner', 'src/keys/a.ts', "import { env } from 'node:process';\n"],
  ['process.env in an app', 'single-owner', 'apps/desk/a.ts', 'const a = process.env.HOME;\n'],
  ['pg elsewhere', 'single-owner', 'src/databases/a.ts', "import pg from 'pg';\n"],
  ['pg in an app', 'single-owner', 'apps/desk/a.ts', "import { Client } from 'pg';\n"],
  [
    'a cipher elsewhere',
    'single-owner',
    'src/files/a.ts',
    "import { createHash, createCipheriv as c } from 'node:crypto';\n",
  ],
  ['XML elsewhere', 'single-owner', 'src/identity/sso/a.ts', "import { DOMParser } from '@xmldom/xmldom';\n"],
  ['signatures of XML elsewhere', 'single-owner', 'src/staff/a.ts', "import { SignedXml } from 'xml-crypto';\n"],
  ['all of crypto', 'single-owner', 'src/files/a.ts', "import * as crypto from 'node:crypto';\n"],
  ['web crypto', 'single-owner', 'src/files/a.ts', 'await globalThis.crypto.subtle.digest(x);\n'],
  ['argon2 elsewhere', 'single-owner', 'src/staff/a.ts', "import { argon2 } from 'node:crypto';\n"],
  ['a child process in a feature', 'single-owner', 'src/files/a.ts', "import { spawn } from 'node:child_process';\n"],
  ['S3 in a feature', 'single-owner', 'src/files/a.ts', "import { S3Client } from '@aws-sdk/client-s3';\n"],
  ['Math.random', 'single-owner', 'src/hosting/a.ts', 'const a = Math.random();\n'],
  ['randomBytes', 'single-owner', 'src/hosting/a.ts', "import { randomBytes } from 'node:crypto';\n"],
  ['randomUUID of the globals', 'single-owner', 'src/hosting/a.ts', 'const a = crypto.randomUUID();\n'],
  ['Date.now', 'single-owner', 'src/hosting/a.ts', 'const a = Date.now();\n'],
  ['the clock by new Date()', 'single-owner', 'src/hosting/a.ts', 'const a = new Date();\n'],
  [
    'Date.now after a regular expression',
    'single-owner',
    'src/hosting/a.ts',
    "const a = /['`]/.test(x) && Date.now();\n",
  ],
  ['a drawer', 'no-drawers', 'src/keys/utils/a.ts', 'export {};\n'],
  ['a drawer in a page', 'no-drawers', 'web/console/helpers.ts', 'export {};\n'],
  ['a folder without a front door', 'purpose', 'src/jobs/queue.ts', 'export {};\n'],
  ['an index without purpose', 'purpose', 'src/keys/index.ts', "export * from './store.ts';\n"],
  ['a very long file', 'length', 'src/keys/a.ts', 'export {};\n'.repeat(401)],
  ['a skipped test', 'no-skipped-tests', 'src/keys/a.test.ts', "test.skip('x', () => {});\n"],
  ['a focused test', 'no-skipped-tests', 'test/a.test.ts', "describe.only('x', () => {});\n"],
  ['a test skipped by option', 'no-skipped-tests', 'test/a.test.ts', "test('x', { skip: true }, () => {});\n"],
  ['every column', 'named-columns', 'src/keys/sql.ts', 'const a = `\n  select  *\n  FROM b`;\n'],
  ['every column of a table', 'named-columns', 'apps/desk/sql.ts', "const a = 'SELECT t.* FROM t';\n"],
  [
    'every column in a migration',
    'named-columns',
    'migrations/tenant/0001_a.sql',
    'CREATE VIEW v AS SELECT * FROM t;\n',
  ],
];
for (const [what, rule, path, text] of planted) {
  test(`finds ${what}`, () => {
    const found = checkTree({ ...sound, [path]: text }).violations;
    assert.deepEqual([...new Set(found.map((finding) => `${finding.path} ${finding.rule}`))], [`${path} ${rule}`]);
  });
}

const harmless: [string, string, string][] = [
  ['staff imports identity', 'src/staff/a.ts', "import { x } from '#src/identity/index.ts';\n"],
  ["a feature names another's port", 'src/hosting/a.ts', "import type { Session } from '#src/identity/types.ts';\n"],
  [
    'an import in a comment',
    'src/kernel/a.ts',
    "// import '#src/keys/index.ts';\n/* import '#src/keys/index.ts'; */\n",
  ],
  ['an import in a string', 'src/kernel/a.ts', 'const a = "import \'#src/keys/index.ts\'";\n'],
  ['an import in a template', 'src/kernel/a.ts', "const a = `import '#src/keys/index.ts'`;\n"],
  ['a clock in a comment', 'src/keys/a.ts', '// like Date.now()\nconst a = new Date(0);\n'],
  ['a hash', 'src/files/a.ts', "import { createHash, createHmac, timingSafeEqual } from 'node:crypto';\n"],
  ['a test that starts a process', 'src/files/a.test.ts', "import { spawn } from 'node:child_process';\n"],
  ['counting all rows', 'src/keys/sql.ts', "const a = 'SELECT count(*) FROM t';\n"],
  ['main wires an app', 'src/main/a.ts', "import desk from '../../apps/desk/index.ts';\n"],
  ['process titles', 'src/keys/a.ts', 'process.title = `x`;\n'],
];
for (const [what, path, text] of harmless)
  test(`accepts ${what}`, () => assert.deepEqual(checkTree({ ...sound, [path]: text }).violations, []));

test('a long file is only a warning', () => {
  const report = checkTree({ ...sound, 'src/keys/a.ts': 'export {};\n'.repeat(301) });
  assert.deepEqual([report.violations.length, report.warnings.length], [0, 1]);
});

test('the scanner keeps positions and sees every import', () => {
  const text =
    "import a, { type B, c as d } from './a.ts';\nconst re = /\\/['\"]/; // 'x'\nexport type { E } from './e.ts';\n";
  const file = scanFile('src/x/a.ts', text);
  assert.equal(file.code.length, text.length);
  assert.deepEqual(file.imports, [
    { specifier: './a.ts', isTypeOnly: false, names: ['B', 'c', '*'], line: 1 },
    { specifier: './e.ts', isTypeOnly: true, names: ['E'], line: 3 },
  ]);
});

/** The first versions without faults that let strangers in, of packages that read what strangers send; nothing older comes in with another package. */
const mendedSince: Readonly<Record<string, string>> = {
  // CVE-2025-32442, CVE-2026-25223: content types that pass the schema; CVE-2026-3635: addresses that forwarding headers make up.
  fastify: '5.8.3',
  // Twenty of 2026: recursion, quadratic time, injection by the serialiser.
  '@xmldom/xmldom': '0.8.15',
  // CVE-2025-29774, CVE-2025-29775: signatures over something else.
  'xml-crypto': '6.1.2',
};

/** Below `samlp`, which plays an identity provider in one test: old packages that only write there, and reach no installation. */
const onlyInTests = /^node_modules\/(?:samlp|saml)\/node_modules\//;

function isAtLeast(version: string, floor: string): boolean {
  return version.localeCompare(floor, 'en', { numeric: true }) >= 0;
}

test('every package is pinned to one version and one content, from the registry', () => {
  type Manifest = Record<'dependencies' | 'devDependencies', Record<string, string>>;
  const read = (name: string) => JSON.parse(readFileSync(join(top, name), 'utf8'));
  const { dependencies, devDependencies } = read('package.json') as Manifest;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    assert.match(version, /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, `${name} is one exact version`);
  const lock = read('package-lock.json') as {
    packages: Record<
      string,
      { version?: string; integrity?: string; resolved?: string; link?: boolean; dev?: boolean }
    >;
  };
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '') continue;
    assert.match(entry.integrity ?? '', /^sha512-/, `${path} is known by its content`);
    assert.match(entry.version ?? '', /^\d+\.\d+\.\d+/, path);
    assert.ok(!entry.link, `${path} is no link`);
    // Without an address npm takes it from the registry that it is set to, and the checksum says whether it is the same.
    assert.match(entry.resolved ?? 'https://registry.npmjs.org/', /^https:\/\/registry\.npmjs\.org\//, path);
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const floor = entry.dev && onlyInTests.test(path) ? undefined : mendedSince[name];
    if (floor) assert.ok(isAtLeast(entry.version!, floor), `${path} ${entry.version} has faults that ${floor} has not`);
  }
});
