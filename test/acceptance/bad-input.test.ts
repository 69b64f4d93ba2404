/** Whatever is sent, the answer is a clear refusal, nothing changes, no memory is eaten, and the next request is served. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Answer, type Client, Freehold } from './harness.ts';
import { listProcesses } from './processes.ts';
import { exchange, openTls, type RawAnswer, streamUntilAnswer } from './wire.ts';

const password = 'eleven quiet trams at midnight';
const adminEmail = 'ada@northwind.example';
const breached = 'seven loud trams at noon';
const megabyte = 1_048_576;

describe('bad input', { timeout: 1_200_000 }, () => {
  let freehold: Freehold;
  let client: Client;
  let before_: string;
  let workers: ReadonlyMap<number, number>;
  let lists: string;
  const host = () => `northwind.localhost:${freehold.port}`;

  before(async () => {
    // Read by processes that run as other users.
    lists = mkdtempSync(join(tmpdir(), 'freehold-lists-'));
    chmodSync(lists, 0o755);
    writeFileSync(join(lists, 'breached'), `${createHash('sha1').update(breached).digest('hex')}:7\r\n`);
    freehold = await Freehold.start({ env: { FREEHOLD_BREACHED_PASSWORDS: join(lists, 'breached') } });
    client = await freehold.signUp(await freehold.createTenant('northwind', adminEmail), password);
    const made = await client.send('POST', '/api/projects', { key: 'SUP', name: 'Support' });
    assert.equal(made.status, 201, made.text);
    const item = await client.send('POST', '/api/items', { project: 'SUP', title: 'The one item' });
    assert.equal(item.status, 201, item.text);
    before_ = await snapshot();
    workers = gatewayMemory();
  });
  after(async () => {
    await client?.close();
    await freehold?.stop();
    rmSync(lists, { recursive: true, force: true });
  });

  /** All that a user can see change. */
  const snapshot = async () => {
    const paths = ['/api/projects', '/api/items', '/api/imports', '/api/items/SUP-1', '/api/items/SUP-1/comments'];
    paths.push('/api/items/SUP-1/attachments', '/-/api/users', '/-/api/invitations', '/-/api/session');
    const answers = await Promise.all(paths.map((path) => client.get(path)));
    for (const answer of answers) assert.equal(answer.status, 200, answer.text);
    // When somebody was last seen is no change.
    return answers
      .map((answer) => answer.text.replace(/"(lastUsedAt|idleExpiresAt|expiresAt)":"[^"]*"/g, ''))
      .join('\n');
  };
  /** Process id → resident bytes of every gateway process. */
  const gatewayMemory = (): ReadonlyMap<number, number> =>
    new Map(
      listProcesses(freehold)
        .filter((process) => process.args.includes('run gateway'))
        .map(({ pid, residentBytes }) => [pid, residentBytes]),
    );
  const refused = (answer: Answer, what: string, status: readonly number[] = [400]) => {
    assert.ok(status.includes(answer.status), `${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
    assert.match(answer.json?.code ?? '', /^(FH|DESK)_[A-Z_]+$/, what);
    assert.ok(answer.json.title.length > 5, what);
    assert.doesNotMatch(
      answer.text,
      /node_modules|at \w+ \(|\/src\/|SELECT |pg_/,
      `${what} shows nothing of the inside`,
    );
  };
  const sendText = (method: string, path: string, text: string | Buffer, type = 'application/json') =>
    client.send(method, path, typeof text === 'string' ? text : new Uint8Array(text), { 'content-type': type });
  const unchanged = async () => assert.equal(await snapshot(), before_);

  it('JSON that means to change objects it was not given', async () => {
    for (const text of [
      '{"key":"EVIL","name":"x","__proto__":{"role":"owner"}}',
      '{"key":"EVIL","name":"x","constructor":{"prototype":{"role":"owner"}}}',
      '{"__proto__":{"key":"EVIL","name":"x"}}',
      '{"key":"EVIL","name":"x","\\u005f_proto__":{}}',
    ])
      refused(await sendText('POST', '/api/projects', text), text);
    refused(
      await sendText(
        'POST',
        '/-/api/invitations',
        '{"email":"eve@example.com","role":"member","__proto__":{"role":"owner"}}',
      ),
      'invitation',
    );
    refused(await sendText('PATCH', '/api/items/SUP-1', '{"version":1,"title":"x","__proto__":{}}'), 'item');
    await unchanged();
  });

  it('JSON that is none, or not what is asked for', async () => {
    for (const text of [
      '',
      '{',
      '{"key":}',
      'null',
      '[]',
      '"text"',
      '1e999',
      '{"key":"A"} trailing',
      '\uFEFF{}',
      '{"key":"AB","name":5}',
      '['.repeat(50_000),
    ])
      refused(await sendText('POST', '/api/projects', text), JSON.stringify(text.slice(0, 20)));
    refused(
      await sendText('POST', '/api/projects', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])),
      'bytes that are not UTF-8',
    );
    for (const [text, what] of [
      [`{"key":"LONG","name":"${'n'.repeat(5_000)}"}`, 'a long name'],
      ['{"key":"BLANK","name":"   "}', 'blanks'],
      ['{"key":"lower1","name":"x"}', 'a key with a digit'],
      ['{"key":"OK","name":"x","extra":1}', 'an unknown field'],
    ] as const)
      refused(await sendText('POST', '/api/projects', text), what, [400, 422]);
    await unchanged();
  });

  it('characters that no database takes are refused or cleaned, never a fault', async () => {
    for (const title of ['a\\u0000b', '\\ud800', '\\udc00x', '\\u202Eevil', '\\uFFFE']) {
      const made = await sendText(
        'POST',
        '/api/items',
        `{"project":"SUP","title":"${title}","description":"${title}"}`,
      );
      assert.ok([201, 400, 422].includes(made.status), `${title}: ${made.status} ${made.text}`);
      if (made.status === 201) assert.equal((await client.send('DELETE', `/api/items/${made.json.key}`)).status, 204);
    }
    await unchanged();
  });

  it('the wrong content type', async () => {
    const body = '{"key":"EVIL","name":"x"}';
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'image/png'])
      refused(await sendText('POST', '/api/projects', body, type), type, [415]);
    refused(
      await client.send('POST', '/api/items/SUP-1/attachments', { file: 'x' }),
      'JSON where a file is due',
      [400, 415],
    );
    refused(await sendText('POST', '/api/items/SUP-1/attachments', 'x', 'multipart/form-data'), 'no boundary', [400]);
    refused(
      await sendText('POST', '/api/items/SUP-1/attachments', 'no part at all', 'multipart/form-data; boundary=b'),
      'no part',
      [400],
    );
    refused(
      await sendText(
        'POST',
        '/api/items/SUP-1/attachments',
        '--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nhalf',
        'multipart/form-data; boundary=b',
      ),
      'cut off',
    );
    await unchanged();
  });

  it('bodies that are too large: 2 GB announced, and streamed without end', async () => {
    refused(
      await client.send('POST', '/api/items', { project: 'SUP', title: 'x', description: 'd'.repeat(9 * megabyte) }),
      '9 MB of JSON',
      [413],
    );
    const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const head = (path: string, lines: string) =>
      `POST ${path} HTTP/1.1\r\nHost: ${host()}\r\nCookie: ${cookie}\r\nContent-Type: multipart/form-data; boundary=b\r\n${lines}\r\n\r\n`;
    const part = '--b\r\ncontent-disposition: form-data; name="file"; filename="big.csv"\r\n\r\n';
    for (const path of ['/api/items/SUP-1/attachments', '/api/imports']) {
      const socket = await openTls(freehold.port, 'northwind.localhost');
      const answer = await exchange(socket, head(path, `Content-Length: ${2 * 1024 * megabyte}`) + part);
      // Refused by what is announced: the body never comes.
      assert.equal(answer.status, 413, `${path}: ${answer.text.slice(0, 200)}`);
    }
    const streamed = await streamUntilAnswer(
      await openTls(freehold.port, 'northwind.localhost'),
      head('/api/items/SUP-1/attachments', 'Transfer-Encoding: chunked'),
      part,
      1_000,
    );
    assert.equal(streamed.answer.status, 413, streamed.answer.text.slice(0, 200));
    // 50 MB may be read, and what comes until the answer has reached the client.
    assert.ok(streamed.sentMegabytes < 800, `it went on reading: ${streamed.sentMegabytes} MB`);
    const kept = execFileSync('du', ['-sm', join(freehold.dataDir, 'files')], { encoding: 'utf8' });
    assert.ok(Number.parseInt(kept, 10) < 20, `kept: ${kept}`);
    for (const [pid, bytes] of gatewayMemory()) {
      const was = workers.get(pid) ?? 0;
      assert.ok(bytes - was < 150 * megabyte, `gateway ${pid} grew from ${was} to ${bytes} bytes`);
    }
    await unchanged();
  });

  it('headers and addresses without measure', async () => {
    const raw = async (text: string) => exchange(await openTls(freehold.port, 'northwind.localhost'), text);
    const get = (path: string, lines = '') =>
      `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\n${lines}connection: close\r\n\r\n`;
    const among = (answer: RawAnswer, status: readonly number[], what: string) =>
      assert.ok(status.includes(answer.status), `${what}: ${answer.text.slice(0, 200)}`);
    among(await raw(get('/-/api/tenant', `x-long: ${'a'.repeat(30_000)}\r\n`)), [431], 'a header of 30 KB');
    // Of much more than is read, the connection may be reset before the answer has arrived.
    const flood = await raw(get('/-/api/tenant', `x-long: ${'a'.repeat(500_000)}\r\n`)).catch(() => undefined);
    if (flood) among(flood, [431], 'a header of 500 KB');
    among(await raw(get('/-/api/tenant', 'x: y\r\n'.repeat(5_000))), [431, 400], '5,000 headers');
    among(await raw(get(`/-/api/tenant?${'a'.repeat(14_000)}`)), [414, 431], 'an address of 14 KB');
    among(await raw(get('/-/api/tenant', `cookie: ${'a=b; '.repeat(5_000)}\r\n`)), [400, 431], 'cookies of 25 KB');
    among(await raw(get('/-/api/tenant', 'bad header line\r\n')), [400], 'a line without a colon');
    among(await raw(get('/-/api/tenant', 'x\u0000y: 1\r\n')), [400], 'NUL in a name');
    among(await raw('NONSENSE\r\n\r\n'), [400], 'no HTTP');
    among(await raw(`TRACE / HTTP/1.1\r\nHost: ${host()}\r\nconnection: close\r\n\r\n`), [400, 404, 405, 501], 'TRACE');
    among(
      await raw(
        `POST /-/api/session HTTP/1.1\r\nHost: ${host()}\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
      ),
      [400],
      'two lengths',
    );
    await unchanged();
  });

  it('paths that lead out of what they name', async () => {
    const raw = async (path: string) =>
      exchange(
        await openTls(freehold.port, 'northwind.localhost'),
        `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\naccept: text/html\r\nconnection: close\r\n\r\n`,
      );
    for (const path of [
      '/../../../../etc/passwd',
      '/..%2f..%2f..%2fetc%2fpasswd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/-/../../../etc/passwd',
      '/-/assets/../../../../etc/passwd',
      '/-/assets/..%2f..%2f..%2f..%2fetc%2fpasswd',
      '/assets/..%5c..%5c..%5cetc%5cpasswd',
      '/assets/%00',
      '/assets/....//....//package.json',
      '/%c0%ae%c0%ae/etc/passwd',
      '/%',
      '//etc/passwd',
      '/.env',
      '/package.json',
      '/src/main/cli.ts',
    ]) {
      const answer = await raw(path);
      assert.ok(answer.status < 500, `${path}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /root:|"dependencies"|import .* from/, path);
    }
    for (const path of [
      '/api/items/..%2fprojects',
      "/api/items/'%20OR%201=1--",
      '/api/attachments/att_x%2f..%2f..%2fcontent/content',
      '/api/imports/%00',
      `/api/items/${'9'.repeat(500)}`,
      '/-/api/sessions/..%2f..',
    ])
      refused(await client.get(path), path, [400, 404, 405, 414]);
    await unchanged();
  });

  it('query values that make no sense', async () => {
    for (const query of [
      'limit=-1',
      'limit=1e9',
      'limit=x',
      'cursor=garbage',
      'cursor=eyJ9',
      'sort=;drop',
      'state=happy',
      `q=${'x'.repeat(3_000)}`,
      'createdFrom=yesterday',
      'due=2026-99-99',
    ])
      refused(await client.get(`/api/items?${query}`), query, [400, 404, 414]);
    // Words of a search are words, whatever they look like.
    for (const words of ["' OR 1=1 --", ':* & | !', '\\', '"unclosed', '((((', '%_%', 'a'.repeat(200)])
      assert.equal((await client.get(`/api/items?q=${encodeURIComponent(words)}`)).status, 200, words);
    await unchanged();
  });

  it('files that are no CSV', async () => {
    const upload = (content: Buffer | string, name = 'broken.csv') =>
      client.send(
        'POST',
        '/api/imports',
        Buffer.concat([
          Buffer.from(
            `--b\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\ncontent-type: text/csv\r\n\r\n`,
          ),
          Buffer.from(content),
          Buffer.from('\r\n--b--\r\n'),
        ]),
        { 'content-type': 'multipart/form-data; boundary=b' },
      );
    for (const [what, content] of [
      ['empty', ''],
      ['only a header', 'Title,State\n'],
      ['a quote that never closes', 'Title,State\n"open,todo\nmore\n'],
      ['text after a quoted cell', 'Title,State\n"a"b,todo\n'],
      ['a picture', Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(2_000, 7)])],
      ['UTF-16', Buffer.from('Title,State\na,todo\n', 'utf16le')],
      ['NUL', 'Title,State\na\0b,todo\n'],
      [
        '5,000 columns',
        `${Array.from({ length: 5_000 }, (_, index) => `c${index}`).join(',')}\n${','.repeat(4_999)}\n`,
      ],
      ['a record of 3 MB', `Title,Text\na,"${'x'.repeat(3 * megabyte)}"\n`],
    ] as const)
      refused(await upload(content), what, [400, 422]);
    await unchanged();
  });

  it('people who cannot be', async () => {
    for (const body of [
      { email: 'eve', role: 'member' },
      { email: 'eve@example.com\r\nBcc: all@example.com', role: 'member' },
      { email: 'eve@example.com', role: 'emperor' },
      { email: `${'e'.repeat(300)}@example.com`, role: 'member' },
      { email: ['eve@example.com'], role: 'member' },
      { email: 'eve@example.com' },
      { email: 'eve@example.com', role: 'member', name: '\u202Eevil' },
    ])
      refused(await client.send('POST', '/-/api/invitations', body), JSON.stringify(body), [400, 422]);
    const me = (await client.get('/-/api/session')).json.user.userId;
    refused(await client.send('PATCH', `/-/api/users/${me}`, { role: 'member' }), 'the last owner', [409]);
    refused(await client.send('PATCH', `/-/api/users/${me}`, { state: 'disabled' }), 'the last owner', [409]);
    refused(
      await client.send('PUT', '/-/api/password', { currentPassword: password, newPassword: 'x' }),
      'one character',
      [422],
    );
    refused(
      await client.send('PUT', '/-/api/password', {
        currentPassword: 'wrong wrong wrong',
        newPassword: `${password}!`,
      }),
      'wrong',
      [403],
    );
    refused(
      await client.send('POST', '/-/api/session', { email: adminEmail, password: 'x'.repeat(megabyte) }),
      'a megabyte',
      [401, 422],
    );
    refused(
      await client.send('POST', '/-/api/session', { email: adminEmail, password: 'x'.repeat(5 * megabyte) }),
      'five',
      [400, 413],
    );
    await unchanged();
  });

  it('a password that is known from a breach; and while the list is away no new one at all', async () => {
    const change = () => client.send('PUT', '/-/api/password', { currentPassword: password, newPassword: breached });
    const judge = () => client.send('POST', '/-/api/password-check', { password: breached, email: '', name: '' });
    const known = await change();
    refused(known, 'breached', [422]);
    assert.match(known.json.fields.password, /stolen/);
    assert.equal((await judge()).json.problems[0].rule, 'breached');
    renameSync(join(lists, 'breached'), join(lists, 'away'));
    for (const answer of [await change(), await judge()]) {
      refused(answer, 'no list', [503]);
      assert.equal(answer.json.code, 'FH_PASSWORD_LIST_UNREADABLE');
      assert.ok(!answer.text.includes(lists), 'where it lies is nobody’s business');
    }
    const warnings = async () =>
      JSON.parse((await freehold.run('doctor', '--json')).stdout).warnings as { text: string }[];
    assert.ok((await warnings()).some(({ text }) => text.includes(join(lists, 'breached'))));
    renameSync(join(lists, 'away'), join(lists, 'breached'));
    assert.ok(!(await warnings()).some(({ text }) => text.includes('breached passwords')));
    await unchanged();
  });

  it('after all of it every process is the one it was, and none reports a fault of its own', async () => {
    assert.deepEqual([...gatewayMemory().keys()].sort(), [...workers.keys()].sort());
    const faults = freehold
      .readTroubles()
      .split('\n')
      .filter((line) => /"level":(50|60)/.test(line) || (line !== '' && !line.startsWith('{')));
    assert.deepEqual(faults, []);
    const status = await freehold.run('status', '--json');
    const { gateways } = JSON.parse(status.stdout);
    assert.equal(gateways.connected, gateways.expected);
  });
});
