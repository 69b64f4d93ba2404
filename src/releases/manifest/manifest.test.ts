import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FreeholdError } from '#src/kernel/index.ts';
import type { EnvironmentFacts } from '../types.ts';
import { checkManifest, parseManifest, resolveEnvironment, showProblem } from './index.ts';

const bytes = (text: string) => Buffer.from(text);
/** Templates are written with § for $, so that no reader of this file takes them for JavaScript's. */
const dollars = (text: string) => text.replaceAll('§', '$');
const problemsOf = (content: string | Uint8Array) =>
  checkManifest(typeof content === 'string' ? bytes(dollars(content)) : content).problems.map(showProblem);
const manifestOf = (members: object) =>
  parseManifest(bytes(dollars(JSON.stringify({ name: 'tickets', version: '1.0', start: 'node .', ...members }))));
/** The texts of the problems of a manifest that is good but for these members. */
const wrong = (members: object) =>
  checkManifest(
    bytes(dollars(JSON.stringify({ name: 'tickets', version: '1.0', start: 'node .', ...members }))),
  ).problems.map(({ text }) => text);

const facts: EnvironmentFacts = {
  database: {
    url: 'postgresql://u:p@127.0.0.1/d',
    host: '127.0.0.1',
    port: '5432',
    name: 'd',
    user: 'u',
    password: 'p',
  },
  port: '8080',
  url: 'https://acme.localhost:8443',
  host: 'acme.localhost:8443',
  folder: '/data',
  tenant: { id: 'ten_1', name: 'acme', title: 'Acme §{port}' },
  identity: { key: 'a2V5', issuer: 'https://acme.localhost:8443/-/oidc', clientId: 'tickets', clientSecret: 's4' },
  secrets: { session: 's3' },
};

describe('freehold.app.json', () => {
  it('says what is not there with defaults', () => {
    assert.deepEqual(manifestOf({}), {
      name: 'tickets',
      title: 'tickets',
      version: '1.0',
      build: undefined,
      migrate: undefined,
      start: 'node .',
      env: {},
      health: { path: '/', startSeconds: 60 },
      identity: { kind: 'none', publicPaths: [], redirectPaths: [], signedOutPaths: [] },
      limits: { memoryMb: 512, cpus: 1, processes: 128, connections: 10, folderMb: 1024, bodyMb: 100 },
      idleMinutes: 15,
      secrets: [],
    });
  });

  it('keeps what is there, with comments, commas at ends and a byte order mark', () => {
    const { manifest, problems } = checkManifest(
      bytes(
        dollars(`\ufeff// our app
{ "name": "t2", "title": "Tickets & Co", "version": "2026.11+a_b-c", /* made by */ "build": ["npm", "ci", ""], "migrate": "node m.js",
  "start": ["node", "s.js"], "env": { "DATABASE_URL": "§{database.url}", "KEY": "§{secrets.a}", "JWT": "§{identity.key}", },
  "health": { "path": "/health", "startSeconds": 5 }, "identity": { "kind": "headers", "publicPaths": ["/p/", "/q"] },
  "limits": { "cpus": 0.5, "memoryMb": 64 }, "idleMinutes": 0, "secrets": ["a", "unused"], }`),
      ),
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(manifest?.build, ['npm', 'ci', '']);
    assert.deepEqual(manifest?.identity, {
      kind: 'headers',
      publicPaths: ['/p/', '/q'],
      redirectPaths: [],
      signedOutPaths: [],
    });
    assert.equal(manifest?.limits.cpus, 0.5);
    assert.equal(manifest?.limits.connections, 10);
    assert.equal(manifest?.idleMinutes, 0);
  });

  it('has the tenant as the OpenID provider of the app, with the addresses that browsers may come back to', () => {
    const identity = { kind: 'oidc', redirectPaths: ['/auth/callback'], signedOutPaths: ['/'] };
    const env = dollars('§{identity.issuer} §{identity.clientId} §{identity.clientSecret}');
    assert.deepEqual(manifestOf({ identity, env: { A: env } })?.identity, { ...identity, publicPaths: [] });
    for (const [change, expected] of [
      [{ identity: { kind: 'oidc' } }, /"redirectPaths" are missing; write for example/],
      [{ identity: { kind: 'oidc', redirectPaths: [] } }, /redirectPaths are empty/],
      [{ identity: { kind: 'oidc', redirectPaths: ['https://evil.example/'] } }, /a path of redirectPaths is "https/],
      [{ identity: { kind: 'oidc', redirectPaths: ['/a?b'] } }, /without %, \?, #/],
      [{ identity: { kind: 'oidc', redirectPaths: ['/-/a'] } }, /below \/-\/ is the platform's/],
      [{ identity: { ...identity, publicPaths: ['/'] } }, /publicPaths are of use only with "kind": "headers"/],
      [{ identity: { ...identity, kind: 'headers' } }, /redirectPaths are of use only with "kind": "oidc"/],
      [{ env: { A: dollars('§{identity.issuer}') } }, /there only with "identity": { "kind": "oidc" }/],
      [{ identity, env: { A: dollars('§{identity.key}') } }, /there only with "identity": { "kind": "headers" }/],
      [{ identity, secrets: ['identity.clientSecret'] }, /is no name of a secret/],
    ] as const)
      assert.ok(
        wrong(change).some((text) => expected.test(text)),
        `${expected}: ${wrong(change)}`,
      );
  });

  it('says everything that is wrong at once, each with its place', () => {
    assert.deepEqual(
      problemsOf(`{
  "nmae": "x",
  "version": 1,
  "start": "",
  "start": "again",
  "limits": { "memoryMB": 1, "cpus": 0 },
  "env": { "A": "§{datbase.url}", "PORT": "1" },
  "idleMinutes": -1.5
}`),
      [
        'freehold.app.json:1:1: "name" is missing; write for example "name": "tickets"',
        'freehold.app.json:2:3: freehold.app.json has no key "nmae", did you mean "name"?',
        'freehold.app.json:3:14: version is a number; write a text: "…"',
        'freehold.app.json:4:12: start is empty',
        'freehold.app.json:5:3: "start" is here twice; leave one of them',
        'freehold.app.json:6:15: limits has no key "memoryMB", did you mean "memoryMb"?',
        'freehold.app.json:6:38: limits.cpus is 0; write a number from 0.05 to 64',
        dollars(
          'freehold.app.json:7:17: "A" names §{datbase.url}, which is nothing Freehold knows, did you mean "database.url"?',
        ),
        'freehold.app.json:7:35: env: "PORT" is always set by Freehold; leave it out',
        'freehold.app.json:8:18: idleMinutes is -1.5; write a number from 0 to 10080',
      ],
    );
    assert.throws(
      () => parseManifest(bytes('{}')),
      (error) =>
        error instanceof FreeholdError &&
        error.code === 'FH_APP_MANIFEST_INVALID' &&
        error.detail?.split('\n').length === 3,
    );
  });

  it('refuses what is no JSON, with the place', () => {
    assert.deepEqual(problemsOf(''), ['freehold.app.json:1:1: is not JSON here: value expected']);
    assert.deepEqual(problemsOf('{\r\n  "name" "x" }'), ['freehold.app.json:2:10: is not JSON here: colon expected']);
    assert.match(
      problemsOf('{"name":"a').join(),
      /^freehold\.app\.json:1:9: is not JSON here: unexpected end of string$/,
    );
    assert.match(problemsOf('{} {}').join(), /^freehold\.app\.json:1:4: is not JSON here: end of file expected$/);
    for (const value of ['null', 'true', '3', '"x"', '[]'])
      assert.match(problemsOf(value).join(), /^freehold\.app\.json:1:1: freehold\.app\.json is .+; write an object/);
  });

  it('refuses what is no UTF-8, too long or too deep before it is parsed', () => {
    const broken = Buffer.concat([bytes('{\n"a": "ü'), Buffer.from([0xff]), bytes('"}')]);
    assert.deepEqual(problemsOf(broken), ['freehold.app.json:2:8: is not UTF-8 from here on; save the file as UTF-8']);
    const cut = bytes('{"ü').subarray(0, 3);
    assert.deepEqual(problemsOf(cut), ['freehold.app.json:1:3: is not UTF-8 from here on; save the file as UTF-8']);
    assert.deepEqual(problemsOf(Buffer.alloc(70_000, ' ')), [
      'freehold.app.json:1:1: is 70000 bytes long; at most 65536 are read',
    ]);
    assert.match(problemsOf('['.repeat(65_536)).join(), /:1:9: is nested more than 8 levels deep/);
    assert.match(problemsOf('{"a":'.repeat(10_000)).join(), /:1:41: is nested more than 8 levels deep/);
  });

  it('takes no name for more than a name', () => {
    assert.match(wrong(JSON.parse('{"__proto__": {"name": "x"}}')).join(), /no key "__proto__"; it has name, title/);
    assert.match(wrong({ constructor: 1 }).join(), /no key "constructor"/);
    assert.match(wrong({ env: JSON.parse('{"__proto__": "x"}') }).join(), /"__proto__" is no name of a variable/);
    assert.match(wrong({ secrets: ['__proto__'] }).join(), /no name of a secret/);
    for (const name of ['constructor', 'database.constructor', 'tenant.__proto__', 'secrets', 'secrets.toString', ''])
      assert.equal(wrong({ env: { A: `§{${name}}` } }).length, 1, name);
    assert.equal(({} as Record<string, unknown>).name, undefined);
  });

  it('refuses names, versions and titles that are unfit for folders and pages', () => {
    for (const name of ['', 'a', 'A1', '1a', 'a-', '-a', 'a_b', 'ä1', 'a'.repeat(41), '../x', 'a\n'])
      assert.equal(wrong({ name }).length, 1, name);
    for (const version of ['', '.', '..', '.1', '-1', '1/2', '1 2', '1\n', 'v'.repeat(65), '1\u0000'])
      assert.equal(wrong({ version }).length, 1, version);
    for (const title of ['', ' ', 'a\nb', '\u202e x', 'x'.repeat(121)]) assert.equal(wrong({ title }).length, 1, title);
    manifestOf({ name: 'a'.repeat(40), version: 'v'.repeat(64), title: 'x'.repeat(120) });
  });

  it('refuses commands that are none', () => {
    for (const start of [[], '  ', 3, null, {}, [''], ['node', 3], ['a\0'], '\ud800', Array(257).fill('x')])
      assert.equal(wrong({ start }).length, 1, JSON.stringify(start));
    assert.equal(wrong({ build: null, migrate: false }).length, 2);
  });

  it('refuses variables that are not the app\u2019s to set', () => {
    for (const name of [
      'LD_PRELOAD',
      'LD_X',
      'PATH',
      'HOME',
      'TMPDIR',
      'PORT',
      'FREEHOLD_X',
      'BASH_ENV',
      'IFS',
      '1A',
      'A-B',
      'A=B',
      '',
    ])
      assert.equal(wrong({ env: { [name]: 'x' } }).length, 1, name);
    manifestOf({ env: { NODE_OPTIONS: '--max-old-space-size=200', DATABASE_URL: '', _a: 'x', PGHOST: 'x' } });
    assert.equal(wrong({ env: { A: 1, B: null, C: 'a\0', D: 'x'.repeat(8_193) } }).length, 4);
  });

  it('refuses templates that name nothing', () => {
    assert.match(wrong({ env: { A: 'x§{port' } }).join(), /without a \}/);
    assert.match(wrong({ env: { A: '§{secrets.key}' } }).join(), /add "key" to "secrets"/);
    assert.match(wrong({ env: { A: '§{identity.key}' } }).join(), /only with "identity"/);
    assert.equal(wrong({ env: { A: '§{a}§{b}§{port}' } }).length, 2);
    assert.deepEqual(wrong({ env: { A: '§§{a} § §x §§ §{port}' } }), []);
  });

  it('refuses limits and paths out of range', () => {
    for (const limits of [
      { memoryMb: 31 },
      { memoryMb: 64.5 },
      { cpus: -1 },
      { processes: '9' },
      { connections: 101 },
      { folderMb: 0 },
      { bodyMb: 1e9 },
    ])
      assert.equal(wrong({ limits }).length, 1, JSON.stringify(limits));
    assert.match(problemsOf('{"name":"aa","version":"1","start":"x","idleMinutes":1e999}').join(), /is Infinity/);
    for (const path of [
      '',
      'x',
      '//x',
      '/a//b',
      '/a/../b',
      '/a/.',
      '/a?b',
      '/a#b',
      '/%2e',
      '/a b',
      '/\\',
      '/-/x',
      '/-',
      '/ü',
    ]) {
      assert.equal(wrong({ health: { path } }).length, 1, path);
      assert.equal(wrong({ identity: { kind: 'headers', publicPaths: [path] } }).length, 1, path);
    }
    assert.equal(wrong({ health: { startSeconds: 601 } }).length, 1);
    assert.equal(wrong({ identity: {} }).length, 1);
    assert.equal(wrong({ identity: { kind: 'header' } }).length, 1);
    assert.equal(wrong({ identity: { kind: 'none', publicPaths: [] } }).length, 1);
    assert.equal(wrong({ secrets: ['a', 'a'] }).length, 1);
  });

  it('answers every text and every JSON with a manifest or problems, never with an exception', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array(), fc.json().map(bytes), fc.string({ unit: 'binary' }).map(bytes)),
        (content) => {
          const { manifest, problems } = checkManifest(content);
          assert.equal(manifest === undefined, problems.length > 0);
          for (const { line, column } of problems) assert.ok(line >= 1 && column >= 1);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('the environment of an app', () => {
  const resolve = (env: Record<string, string>) =>
    resolveEnvironment(
      { env: Object.fromEntries(Object.entries(env).map(([key, text]) => [key, dollars(text)])) },
      JSON.parse(dollars(JSON.stringify(facts))),
    );

  it('is what the manifest maps, and PORT, HOME and TMPDIR', () => {
    assert.deepEqual(resolve({}), { PORT: '8080', HOME: '/data', TMPDIR: '/tmp' });
    assert.deepEqual(
      resolve({
        URL: '§{database.url}?x=§{port}',
        S: '§{secrets.session}',
        K: '§{identity.key}',
        P: '§§{port} §1 §§',
        N: '',
      }),
      {
        URL: 'postgresql://u:p@127.0.0.1/d?x=8080',
        S: 's3',
        K: 'a2V5',
        P: dollars('§{port} §1 §§'),
        N: '',
        PORT: '8080',
        HOME: '/data',
        TMPDIR: '/tmp',
      },
    );
  });

  it('never reads a value as a template', () => {
    assert.equal(resolve({ T: '§{tenant.title}' }).T, dollars('Acme §{port}'));
  });

  it('is refused when a fact is missing', () => {
    for (const name of ['secrets.other', 'secrets.toString', 'database', 'constructor.name', 'x'])
      assert.throws(() => resolve({ A: `§{${name}}` }), TypeError, name);
  });
});
