import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type FreeholdError, silentLog, waitFor } from '#src/kernel/index.ts';
import { createOutgoing, type Outgoing, type OutgoingOptions, parseAllowed } from './index.ts';
import { findSpecial } from './special-addresses.ts';
import { startTestServer, type TestServer } from './test-server.fixture.ts';

type Handler = (request: IncomingMessage, answer: ServerResponse) => void;

describe('requests to servers that tenants name', { timeout: 300_000 }, () => {
  let server: TestServer;
  let handle: Handler;
  let heard: IncomingMessage[];
  let open: number;
  let outgoing: Outgoing;

  /** With time enough for a busy machine where a test says nothing else. */
  const create = (options: Partial<OutgoingOptions> = {}): Outgoing => {
    const made = createOutgoing({
      allow: [`idp.example:${server.port}`, `other.example:${server.port}`],
      ca: server.ca,
      log: silentLog,
      resolve: async () => ['127.0.0.1'],
      ...options,
    });
    return { fetch: (address, init) => made.fetch(address, { timeoutMs: 60_000, ...init }) };
  };
  const url = (path = '/metadata') => `https://idp.example:${server.port}${path}`;
  const refused = (promise: Promise<unknown>, code: string) => assert.rejects(promise, { code });
  const noConnection = () => waitFor('the end of all connections', () => open === 0, { deadlineMs: 60_000 });

  before(async () => {
    server = await startTestServer((request, answer) => {
      heard.push(request);
      handle(request, answer);
    });
    open = 0;
    server.server.on('connection', (socket: Socket) => {
      open++;
      socket.on('close', () => open--);
    });
    outgoing = create();
  });
  beforeEach(() => {
    heard = [];
  });
  after(() => server.stop());

  it('bring back status, headers and body, and say nothing but what was asked', async () => {
    handle = (_request, answer) => {
      answer.writeHead(201, { 'content-type': 'text/xml', 'set-cookie': 'a=b', etag: '"1"' }).end('<a/>');
    };
    const answer = await outgoing.fetch(url('/metadata?x=1'), { headers: { accept: 'text/xml' } });
    assert.equal(answer.status, 201);
    assert.equal(await answer.text(), '<a/>');
    assert.deepEqual([...answer.headers.keys()].sort(), [
      'connection',
      'content-type',
      'date',
      'etag',
      'transfer-encoding',
    ]);
    assert.equal(heard[0]!.url, '/metadata?x=1');
    assert.deepEqual(heard[0]!.headers, {
      accept: 'text/xml',
      host: `idp.example:${server.port}`,
      'user-agent': 'Freehold',
      'accept-encoding': 'identity',
      connection: 'close',
    });
    await noConnection();
  });

  it('send a form, and pass on what the server refuses', async () => {
    let body = '';
    handle = (request, answer) => {
      request.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      request.on('end', () => answer.writeHead(400).end('{"error":"invalid_grant"}'));
    };
    const answer = await outgoing.fetch(new URL(url('/token')), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic YTpi' },
      body: 'grant_type=authorization_code&code=ü',
    });
    assert.equal(answer.ok, false);
    assert.deepEqual(await answer.json(), { error: 'invalid_grant' });
    assert.equal(body, 'grant_type=authorization_code&code=ü');
    assert.equal(heard[0]!.headers['content-length'], '37');
    assert.equal(heard[0]!.headers.authorization, 'Basic YTpi');
    handle = (_request, answer) => void answer.writeHead(204).end();
    assert.equal((await outgoing.fetch(url())).body, null);
    await noConnection();
  });

  it('take no header of the connection from who asks', async () => {
    for (const name of ['Host', 'connection', 'Content-Length', 'transfer-encoding', 'cookie', 'Proxy-Authorization'])
      await assert.rejects(outgoing.fetch(url(), { headers: { [name]: 'x' } }), TypeError);
    await assert.rejects(outgoing.fetch(url(), { headers: { accept: 'a\r\nhost: b' } }));
    await assert.rejects(outgoing.fetch(url(), { body: 'x' }), TypeError);
    assert.equal(heard.length, 0);
    await noConnection();
  });

  it('follow no redirect', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      handle = (_request, answer) => void answer.writeHead(status, { location: url('/elsewhere') }).end('secret');
      await refused(outgoing.fetch(url()), 'FH_OUTGOING_REDIRECTED');
    }
    for (const status of [300, 304, 305, 399, 999]) {
      handle = (_request, answer) => void answer.writeHead(status).end();
      await refused(outgoing.fetch(url()), 'FH_OUTGOING_ANSWER_REFUSED');
    }
    assert.ok(heard.every(({ url: path }) => path === '/metadata'));
    await noConnection();
  });

  it('trust only certificates for the name, from an authority that is known', async () => {
    handle = (_request, answer) => void answer.end('hello');
    await refused(outgoing.fetch(`https://other.example:${server.port}/`), 'FH_OUTGOING_CERTIFICATE');
    await refused(create({ ca: undefined }).fetch(url()), 'FH_OUTGOING_CERTIFICATE');
    // The certificate of an address would have to name the address.
    await refused(
      create({ allow: [`127.0.0.1:${server.port}`] }).fetch(`https://127.0.0.1:${server.port}/`),
      'FH_OUTGOING_CERTIFICATE',
    );
    assert.equal(heard.length, 0);
    await noConnection();
  });

  it('look at no proxy and at no other variable of the environment', async () => {
    handle = (_request, answer) => void answer.end('hello');
    const program = `
      import { createOutgoing } from ${JSON.stringify(new URL('index.ts', import.meta.url).href)};
      import { silentLog } from ${JSON.stringify(new URL('../kernel/index.ts', import.meta.url).href)};
      const [url, allow, ca] = process.argv.slice(1);
      const ask = (ca) => createOutgoing({ allow: [allow], ca, log: silentLog, resolve: async () => ['127.0.0.1'] }).fetch(url, { timeoutMs: 60_000 })
        .then((answer) => answer.text(), (error) => error.code);
      console.log(JSON.stringify([await ask(ca), await ask(undefined)]));`;
    const proxy = 'http://127.0.0.1:9';
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', program, url(), `idp.example:${server.port}`, server.ca],
      {
        env: {
          ...process.env,
          ...{ HTTPS_PROXY: proxy, https_proxy: proxy, ALL_PROXY: proxy, HTTP_PROXY: proxy, NODE_USE_ENV_PROXY: '1' },
          NODE_TLS_REJECT_UNAUTHORIZED: '0',
        },
      },
    );
    assert.deepEqual(JSON.parse(stdout), ['hello', 'FH_OUTGOING_CERTIFICATE']);
  });

  it('end at the size limit, whatever the server says about its size', async () => {
    const big = Buffer.alloc(3_000_000, 'x');
    handle = (_request, answer) => void answer.writeHead(200, { 'content-length': big.length }).end(big);
    await refused(outgoing.fetch(url()), 'FH_OUTGOING_TOO_LARGE');
    handle = (_request, answer) => {
      answer.write('x');
      answer.end(big);
    };
    const answer = await outgoing.fetch(url());
    await refused(answer.text(), 'FH_OUTGOING_TOO_LARGE');
    handle = (_request, answer) => void answer.end(Buffer.alloc(1_048_576));
    assert.equal((await (await outgoing.fetch(url())).arrayBuffer()).byteLength, 1_048_576);
    handle = (_request, answer) => void answer.end('hello');
    assert.equal(await (await outgoing.fetch(url(), { maxBytes: 5 })).text(), 'hello');
    await refused(outgoing.fetch(url(), { maxBytes: 4 }), 'FH_OUTGOING_TOO_LARGE');
    await noConnection();
  });

  it('take nothing that would have to be unpacked', async () => {
    for (const coding of ['gzip', 'br', 'zstd', 'deflate', 'GZIP', 'identity, gzip', 'x-unknown']) {
      handle = (_request, answer) =>
        void answer.writeHead(200, { 'content-encoding': coding }).end(gzipSync(Buffer.alloc(1_000_000)));
      await refused(outgoing.fetch(url()), 'FH_OUTGOING_ANSWER_REFUSED');
    }
    handle = (_request, answer) => void answer.writeHead(200, { 'content-encoding': 'identity' }).end('plain');
    assert.equal(await (await outgoing.fetch(url())).text(), 'plain');
    await noConnection();
  });

  it('have a time limit that a slow server does not stretch, whatever it is slow with', async () => {
    const limit = { timeoutMs: 400 };
    handle = () => {};
    await refused(outgoing.fetch(url(), limit), 'FH_OUTGOING_TIMEOUT');
    // A byte now and then, of the body and of the head.
    const timers: NodeJS.Timeout[] = [];
    handle = (_request, answer) => {
      answer.flushHeaders();
      timers.push(setInterval(() => answer.write('x'), 20));
    };
    // Under load the time may be up before the head is here.
    await refused(
      outgoing.fetch(url(), limit).then((answer) => answer.text()),
      'FH_OUTGOING_TIMEOUT',
    );
    handle = ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
      timers.push(setInterval(() => socket.writable && socket.write('x'), 20));
    };
    await refused(outgoing.fetch(url(), limit), 'FH_OUTGOING_TIMEOUT');
    for (const timer of timers) clearInterval(timer);
    const never = create({ resolve: () => new Promise(() => {}) });
    await refused(never.fetch(url(), limit), 'FH_OUTGOING_TIMEOUT');
    // Takes connections and never speaks.
    const silent = createServer((socket) => void socket.resume().on('error', () => {})).listen(0, '127.0.0.1');
    await waitFor('the silent server', () => silent.listening);
    const { port } = silent.address() as { port: number };
    await refused(
      create({ allow: [`idp.example:${port}`] }).fetch(`https://idp.example:${port}/`, limit),
      'FH_OUTGOING_TIMEOUT',
    );
    await new Promise((resolve) => silent.close(resolve));
    await noConnection();
  });

  it('read no more of a head than is reasonable', async () => {
    const raw = async (text: string) => {
      handle = ({ socket }) => void socket.end(text);
      await refused(
        outgoing.fetch(url()).then((answer) => answer.text()),
        'FH_OUTGOING_ANSWER_REFUSED',
      );
    };
    await raw(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`);
    await raw(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(10_000)}\r\n`);
    await raw(
      `${'HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n'.repeat(100)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`,
    );
    await raw('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello');
    await raw('HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n');
    await raw('HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!');
    await raw('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello');
    await raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello');
    await raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello');
    await raw('HTTP/1.1 200 OK\nx : y\n\nhello');
    await raw('SSH-2.0-OpenSSH_9.2\r\n');
    await raw('');
    await noConnection();
  });

  it('end when the caller gives up, before and after the head', async () => {
    handle = () => {};
    const early = new AbortController();
    const asked = outgoing.fetch(url(), { signal: early.signal });
    await waitFor('the request', () => heard.length === 1);
    early.abort(new Error('gone'));
    await assert.rejects(asked, /gone/);
    await assert.rejects(outgoing.fetch(url(), { signal: early.signal }), /gone/);
    handle = (_request, answer) => void answer.write('x');
    const late = new AbortController();
    const answer = await outgoing.fetch(url(), { signal: late.signal });
    const body = answer.text();
    late.abort(new Error('gone too'));
    await assert.rejects(body, /gone too/);
    await noConnection();
  });

  it('hold no connection for a body that nobody reads', async () => {
    handle = (_request, answer) => void answer.write('x');
    const answers = await Promise.all(Array.from({ length: 32 }, () => outgoing.fetch(url(), { timeoutMs: 60_000 })));
    await refused(outgoing.fetch(url()), 'FH_OUTGOING_BUSY');
    for (const answer of answers) await answer.body!.cancel();
    await noConnection();
    // Left lying, a body ends when the time is up.
    await outgoing.fetch(url(), { timeoutMs: 400 }).catch(() => {});
    await noConnection();
    handle = (_request, answer) => void answer.end('room again');
    const again = await Promise.all(Array.from({ length: 32 }, () => outgoing.fetch(url(), { timeoutMs: 60_000 })));
    for (const answer of again) assert.equal(await answer.text(), 'room again');
    await noConnection();
  });

  it('are a few at a time on behalf of one, so that nobody takes the room of all', async () => {
    handle = (_request, answer) => void answer.write('x');
    const ask = (onBehalfOf: string) => outgoing.fetch(url(), { timeoutMs: 60_000, onBehalfOf });
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('acme')));
    await refused(ask('acme'), 'FH_OUTGOING_BUSY');
    answers.push(await ask('globex'));
    await answers.shift()!.body!.cancel();
    answers.push(await ask('acme'));
    for (const answer of answers) await answer.body!.cancel();
    await noConnection();
  });

  it('try one address of a name after another', async () => {
    handle = (_request, answer) => void answer.end('hello');
    // Nobody listens on the first two.
    const resolve = async () => ['127.0.0.2', '::1', '127.0.0.1'];
    assert.equal(await (await create({ resolve }).fetch(url(), { timeoutMs: 60_000 })).text(), 'hello');
    const nobody = create({ resolve: async () => ['127.0.0.2'] });
    await refused(nobody.fetch(url(), { timeoutMs: 60_000 }), 'FH_OUTGOING_NOT_REACHED');
    const failing = create({ resolve: () => Promise.reject(new Error('SERVFAIL')) });
    await refused(failing.fetch(url()), 'FH_OUTGOING_NOT_REACHED');
    await noConnection();
  });

  it('say to who named the address no more than that it failed; the log says why', async () => {
    const lines: { message: string; fields: object | undefined }[] = [];
    const log = { ...silentLog, info: (message: string, fields?: object) => void lines.push({ message, fields }) };
    const inside = create({ allow: [], log, resolve: async () => ['10.1.2.3'] });
    const missing = create({ allow: [], log, resolve: async () => [] });
    const texts: string[] = [];
    for (const each of [inside, missing]) {
      const error = (await each.fetch('https://idp.example/secret?token=1').catch((thrown) => thrown)) as FreeholdError;
      texts.push(JSON.stringify([error.code, error.message, error.detail, error.hint, error.fields]));
    }
    assert.equal(texts[0], texts[1]);
    assert.doesNotMatch(texts[0]!, /10\.1|private/);
    assert.match(JSON.stringify(lines[0]), /10\.1\.2\.3: 10\.0\.0\.0\/8, private/);
    assert.doesNotMatch(JSON.stringify(lines), /secret|token/);
  });
});

describe('servers that the operator allows', () => {
  it('are names, addresses and ranges, each on a port', () => {
    const allowed = parseAllowed([
      'IDP.corp.example',
      'kc.corp.example:8443',
      '10.1.0.0/16',
      '10.2.0.1:8443',
      '[fd00::1]:636',
      'fd77::/48',
      'localhost:9000',
    ]);
    assert.ok(allowed.hasName('idp.corp.example', 443));
    assert.ok(!allowed.hasName('idp.corp.example', 8443));
    assert.ok(!allowed.hasName('kc.corp.example', 443));
    assert.ok(allowed.hasName('localhost', 9000));
    assert.ok(allowed.hasAddress('10.1.255.255', 443));
    assert.ok(!allowed.hasAddress('10.2.0.1', 443));
    assert.ok(allowed.hasAddress('10.2.0.1', 8443));
    assert.ok(!allowed.hasAddress('::ffff:10.1.0.1', 443));
    assert.ok(allowed.hasAddress('fd77::5', 443));
    assert.ok(allowed.hasAddress('fd00::1', 636));
  });

  it('are refused when they are no such thing, or never spoken to', () => {
    for (const entry of [
      ...[
        '',
        '*',
        '*.corp.example',
        'https://idp.example',
        'idp.example/',
        'idp.example:0',
        'idp.example:65536',
        'a b',
      ],
      ...['0.0.0.0/0', '10.0.0.0/7', '::/0', 'fd00::/8', '10.0.0.0/33', '10.0.0/8', '0x7f.1', '127.1', '2130706433'],
      ...[
        '169.254.169.254',
        '169.254.0.0/16',
        '0.0.0.0',
        'fe80::1',
        '[fe80::1]:443',
        '100.100.100.200',
        'fd00:ec2::254',
      ],
      ...['::ffff:10.0.0.1', '64:ff9b::/96', '2002::/16', 'ff02::1', 'fe80::1%eth0'],
    ])
      assert.throws(() => parseAllowed([entry]), { code: 'FH_OUTGOING_ALLOW_INVALID' }, entry);
  });

  it('lead to no metadata of a cloud, whatever their name servers say', async () => {
    for (const address of [
      '169.254.169.254',
      'fd00:ec2::254',
      '100.100.100.200',
      '168.63.129.16',
      '0.0.0.0',
      '::ffff:10.0.0.1',
    ]) {
      assert.ok(findSpecial(address)?.isNever, address);
      const outgoing = createOutgoing({
        allow: ['idp.corp.example', '100.64.0.0/10'],
        log: silentLog,
        resolve: async () => [address],
      });
      await assert.rejects(outgoing.fetch('https://idp.corp.example/'), { code: 'FH_OUTGOING_NOT_REACHED' });
    }
  });
});
