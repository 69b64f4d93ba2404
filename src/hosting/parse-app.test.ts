import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { FreeholdError } from '#src/kernel/index.ts';
import sample from '../../apps/sample/index.ts';
import { digestOfApp, migrationsFolders } from './migrations.ts';
import { parseApp } from './parse-app.ts';

const route = sample.routes[0]!;
const withRoute = (change: object) => ({ ...sample, routes: [{ ...route, ...change }] });

function wrongFields(app: unknown): Record<string, string> {
  try {
    parseApp(app);
  } catch (error) {
    assert.equal((error as FreeholdError).code, 'FH_APP_INVALID');
    return { ...(error as FreeholdError).fields };
  }
  return {};
}

test('a sound app passes as it is', () => assert.equal(parseApp(sample), sample));

const wrong: [what: string, app: unknown, field: string][] = [
  ['a bad name', { ...sample, manifest: { ...sample.manifest, name: 'My App' } }, 'manifest.name'],
  ['no manifest', { ...sample, manifest: undefined }, 'manifest.name'],
  ['a bad version', { ...sample, manifest: { ...sample.manifest, version: '1' } }, 'manifest.version'],
  ['no migrations', { ...sample, migrations: undefined }, 'migrations'],
  ['a missing folder', { ...sample, migrations: new URL('./nowhere/', import.meta.url) }, 'migrations'],
  ['a web address', { ...sample, web: new URL('https://example.com/') }, 'web'],
  ['no routes', { ...sample, routes: undefined }, 'routes'],
  ['no route', { ...sample, routes: [null] }, 'routes[0]'],
  ['a bad method', withRoute({ method: 'TRACE' }), 'routes[0].method'],
  ['a path outside', withRoute({ path: '/notes' }), 'routes[0].path'],
  ["the platform's path", withRoute({ path: '/-/api/session' }), 'routes[0].path'],
  ['a wildcard', withRoute({ path: '/api/*' }), 'routes[0].path'],
  ['a pattern in the path', withRoute({ path: '/api/:id(^\\d+$)' }), 'routes[0].path'],
  ['the path of events', withRoute({ path: '/api/events' }), 'routes[0].path'],
  ['no handler', withRoute({ handler: undefined }), 'routes[0].handler'],
  ['no operation', withRoute({ operation: 'list' }), 'routes[0].operation'],
  ['an unknown role', withRoute({ roles: ['root'] }), 'routes[0].roles'],
  ['an unknown keyword', withRoute({ query: { type: 'object', requierd: ['a'] } }), 'routes[0].query'],
  ['an unknown format', withRoute({ response: { type: 'string', format: 'colour' } }), 'routes[0].response'],
  ['a body of a GET', withRoute({ body: { type: 'object' } }), 'routes[0].body'],
  ['file and body', withRoute({ method: 'POST', body: {}, upload: { maxBytes: 1 } }), 'routes[0].upload'],
  ['no limit', withRoute({ method: 'POST', upload: {} }), 'routes[0].upload'],
  ['a negative limit', withRoute({ bodyLimit: -1 }), 'routes[0].bodyLimit'],
  [
    'parameters that differ',
    withRoute({ path: '/api/notes/:note', params: { type: 'object', properties: { id: { type: 'string' } } } }),
    'routes[0].params',
  ],
  ['an operation twice', { ...sample, routes: [route, { ...route, path: '/api/b' }] }, 'routes[1].operation'],
  [
    'one path twice, with other names',
    {
      ...sample,
      routes: [
        { ...route, operation: 'a.b', path: '/api/notes/:a' },
        { ...route, operation: 'a.c', path: '/api/notes/:b' },
      ],
    },
    'routes[1].path',
  ],
  ['a demo that is none', { ...sample, demo: 'yes' }, 'demo'],
];
for (const [what, app, field] of wrong)
  test(`names the field: ${what}`, () => assert.ok(field in wrongFields(app), JSON.stringify(wrongFields(app))));

test('what is no app at all is said so', () => {
  for (const value of [undefined, null, 'app', 7]) assert.throws(() => parseApp(value), { code: 'FH_APP_INVALID' });
});

test('the digest follows every migration', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-app-'));
  try {
    const app = { ...sample, migrations: pathToFileURL(`${folder}/`) };
    const digests = [await digestOfApp(app)];
    await writeFile(join(folder, '0001_a.sql'), 'SELECT 1;');
    digests.push(await digestOfApp(app));
    assert.equal(await digestOfApp(app), digests[1]);
    await writeFile(join(folder, '0001_a.sql'), 'SELECT 2;');
    digests.push(await digestOfApp(app));
    assert.equal(new Set(digests).size, 3);
    assert.equal(migrationsFolders([app]).get('sample'), `${folder}/`);
    await writeFile(join(folder, 'later.sql'), '');
    assert.ok('migrations/later.sql' in wrongFields(app));
  } finally {
    await rm(folder, { recursive: true });
  }
});
