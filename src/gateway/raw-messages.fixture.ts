/**
 * Messages that no well-behaved client sends, as data; `raw-messages.test.ts` sends them over real TLS. Sources: RFC 9110 and 9112, RFC 6265, "HTTP Desync Attacks" (Kettle, 2019 to 2025),
 * the smuggling corpora of http-garden and llhttp's tests, "Cookie Sandwich" (Fedotkin, 2025), and what the incidents of the stack below us were (facts of docs/decisions/0007).
 */

/** One message, complete. `refused`: exactly one refusal or nothing, and the connection ends, so that nothing behind it is ever read as a request. `answered`: one request, with one of these answers. */
export interface RawMessage {
  readonly what: string;
  readonly bytes: string;
  readonly must: 'refused' | readonly number[];
}

/** UTF-8, a character per byte, as the messages are sent. */
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

/** What would be answered if the end of a message were taken for a request. */
const smuggled = (host: string) => `GET /api/whoami?smuggled HTTP/1.1\r\nhost: ${host}\r\n\r\n`;

export function rawMessages({ host, other, cookie }: { host: string; other: string; cookie: string }): RawMessage[] {
  const session = `cookie: ${cookie}\r\n`;
  const get = (lines: string, target = '/api/whoami') => `GET ${target} HTTP/1.1\r\n${lines}\r\n`;
  const own = `host: ${host}\r\n${session}`;
  const post = (lines: string, body: string) =>
    `POST /api/items HTTP/1.1\r\n${own}content-type: application/json\r\n${lines}\r\n${body}`;
  const json = (body: string) => post(`content-length: ${Buffer.byteLength(body)}\r\n`, body);
  const list: RawMessage[] = [];
  const refuse = (group: string, messages: readonly string[]) => {
    for (const [index, bytes] of messages.entries())
      list.push({ what: `${group} ${index + 1}`, bytes, must: 'refused' });
  };
  const answer = (group: string, must: readonly number[], messages: readonly string[]) => {
    for (const [index, bytes] of messages.entries()) list.push({ what: `${group} ${index + 1}`, bytes, must });
  };

  answer(
    'no host, or more than one',
    [400],
    [
      get(session),
      get(`host:\r\n${session}`),
      get(`host: ${host}\r\nhost: ${other}\r\n${session}`),
      get(`host: ${other}\r\nhost: ${host}\r\n${session}`),
      get(`host: ${host}\r\nHOST: ${host}\r\n${session}`),
      get(`host: ${host}, ${other}\r\n${session}`),
      get(`host: ${host} ${other}\r\n${session}`),
      get(`host: ${host}\t${other}\r\n${session}`),
    ],
  );
  refuse('host', [
    get(`host : ${host}\r\n${session}`),
    get(`host\t: ${host}\r\n${session}`),
    get(` host: ${host}\r\n${session}`),
    get(`host: ${host.split('.')[0]}\r\n .localhost\r\n${session}`),
    get(`host: ${host}\0\r\n${session}`),
    get(`host: ${host}\x0b\r\n${session}`),
    get(`host: ${host}\x7f\r\n${session}`),
    get(`host\0: ${host}\r\n${session}`),
    get(`ho st: ${host}\r\n${session}`),
    get(`: ${host}\r\n${session}`),
    get(`host\r\n${session}`),
  ]);
  answer(
    'host of nobody',
    [400, 404, 421],
    [
      ...[
        `x@${host}`,
        `${host}@${other}`,
        `${host}/`,
        `${host}/${other}`,
        `${host}#`,
        `${host}?`,
        `${host}\\`,
        `//${host}`,
      ],
      ...[`http://${host}`, `[::1]`, `127.0.0.1`, '.', '..', '*', `*.${host}`, `.${host}`, host.replace('.', '..')],
      ...[
        host.replace(':', '.:'),
        host.replace(/:.*/, ''),
        host.replace(/:.*/, ':1'),
        host.replace(/:.*/, ':'),
        `${host}:443`,
      ],
      ...[
        host.replace(/:.*/, ':0'),
        host.replace(/:.*/, ':99999'),
        host.replace(/:.*/, ':-1'),
        host.replace(/:(.*)/, ':0$1'),
      ],
      ...[
        host.replace('a', '%61'),
        host.replace('a', bytesOf('а')),
        host.replace('a', bytesOf('ａ')),
        `"${host}"`,
        `'${host}'`,
        `${host};`,
        `<${host}>`,
      ],
      ...[
        `${'a'.repeat(64)}.localhost`,
        `${'a.'.repeat(120)}localhost`,
        'localhost',
        'example.com',
        other,
        `${other}.`,
        '__proto__.localhost',
      ],
      ...['constructor.localhost', 'xn--a.localhost', 'ac_me.localhost', '-acme.localhost'],
    ].map((name) => get(`host: ${name}\r\n${session}`)),
  );
  answer(
    'hosts that others forward',
    [200, 400],
    [
      ...[
        'x-forwarded-host',
        'x-host',
        'x-original-host',
        'forwarded',
        'x-forwarded-server',
        'x-http-host-override',
      ].map((name) => get(`${own}${name}: ${name === 'forwarded' ? `host=${other}` : other}\r\n`)),
      ...['x-original-url', 'x-rewrite-url'].map((name) => get(`${own}${name}: /-/api/users\r\n`)),
      ...['x-http-method-override', 'x-http-method', 'x-method-override'].map((name) =>
        get(`${own}${name}: DELETE\r\n`),
      ),
      ...['x-forwarded-for', 'x-real-ip', 'client-ip', 'true-client-ip'].map((name) =>
        get(`${own}${name}: 127.0.0.1\r\n`),
      ),
      get(`${own}x-forwarded-proto: http\r\nx-forwarded-port: 80\r\n`),
    ],
  );
  // RFC 9112, 3: more than one space may be taken for one.
  answer('spaces', [200, 400], [`GET  /api/whoami HTTP/1.1\r\n${own}\r\n`]);
  refuse('request line', [
    `GET\t/api/whoami\tHTTP/1.1\r\n${own}\r\n`,
    `GET /api/whoami HTTP/1.1 \r\n${own}\r\n`,
    `GET /api/whoami\r\n${own}\r\n`,
    `GET /api/whoami HTTP/2.0\r\n${own}\r\n`,
    `GET /api/whoami HTTP/9.9\r\n${own}\r\n`,
    `GET /api/whoami HTTP/1.10\r\n${own}\r\n`,
    `GET /api/whoami HTTP/11\r\n${own}\r\n`,
    `GET /api/whoami http/1.1\r\n${own}\r\n`,
    `GET /api/whoami HTTP/1.1\n${own}\r\n`,
    `GET /api/whoami HTTP/1.1\r${own}\r\n`,
    `GET /api/who\0ami HTTP/1.1\r\n${own}\r\n`,
    `GET /api/who ami HTTP/1.1\r\n${own}\r\n`,
    `get /api/whoami HTTP/1.1\r\n${own}\r\n`,
    `G\0ET /api/whoami HTTP/1.1\r\n${own}\r\n`,
    `FOO /api/whoami HTTP/1.1\r\n${own}\r\n`,
    ` /api/whoami HTTP/1.1\r\n${own}\r\n`,
    `GET HTTP/1.1\r\n${own}\r\n`,
    `GET api/whoami HTTP/1.1\r\n${own}\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x00\x05hello',
    `\0GET /api/whoami HTTP/1.1\r\n${own}\r\n`,
    `CONNECT ${other} HTTP/1.1\r\n${own}\r\n`,
    `CONNECT 127.0.0.1:5432 HTTP/1.1\r\n${own}\r\n`,
  ]);
  answer(
    'target',
    [400, 404, 405, 414, 421],
    [
      ...[
        `https://${host}/api/whoami`,
        `https://${other}/api/whoami`,
        `http://${other}/`,
        `https://x@${host}/`,
        `HTTPS://${other}/`,
      ].map((target) => get(own, target)),
      ...[
        `//${other}/api/whoami`,
        '/%',
        '/api/%zz',
        '/api/%00',
        '/..%2f..%2fetc/passwd',
        '/%2e%2e/%2e%2e/etc/passwd',
        '/-/../-/api/users',
      ].map((target) => get(own, target)),
      ...[
        '/api//whoami',
        '/api/whoami/',
        '/api/whoami;a=b',
        '/api/whoami%20',
        '/API/WHOAMI',
        '/api/.%2e/whoami',
        '/api\\whoami',
      ].map((target) => get(own, target)),
      `OPTIONS * HTTP/1.1\r\n${own}\r\n`,
      `TRACE /api/whoami HTTP/1.1\r\n${own}\r\n`,
      `DELETE /api/whoami HTTP/1.1\r\n${own}\r\n`,
      get(own, `/${'a'.repeat(7_000)}`),
    ],
  );
  refuse('header line', [
    get(`${own}x : y\r\n`),
    get(`${own}x\r\n`),
    get(`${own}: y\r\n`),
    get(`${own}x y: z\r\n`),
    get(`${own}x\0: y\r\n`),
    get(`${own}x: y\0z\r\n`),
    get(`${own}x: y\x01\r\n`),
    get(`${own}x: y\rz: a\r\n`),
    get(`${own}x: y\nhost: ${other}\r\n`),
    get(`${own}x(y): z\r\n`),
    get(`${own}"x": z\r\n`),
    get(`${own}x,y: z\r\n`),
    get(`${own}${bytesOf('ä')}: z\r\n`),
    get(`${own}x: y\r\n folded\r\n`),
    get(`${own}x: y\r\n\tfolded\r\n`),
    get(` folded: x\r\n${own}`),
    get(`${own}x: ${'y'.repeat(100_000)}\r\n`),
    get(`${own}${'x: y\r\n'.repeat(20_000)}`),
    get(`${own}${'y'.repeat(100_000)}: x\r\n`),
    `GET /${'a'.repeat(200_000)} HTTP/1.1\r\n${own}\r\n`,
  ]);

  const tail = smuggled(host);
  const chunked = 'transfer-encoding: chunked\r\n';
  refuse('framing', [
    post(`content-length: 2\r\n${chunked}`, `0\r\n\r\n${tail}`),
    post(`${chunked}content-length: 2\r\n`, `0\r\n\r\n${tail}`),
    post(`content-length: ${tail.length}\r\n${chunked}`, `0\r\n\r\n${tail}`),
    post('content-length: 2\r\ncontent-length: 3\r\n', `{}${tail}`),
    post('content-length: 2, 2\r\n', `{}${tail}`),
    post('content-length: 2,3\r\n', `{}${tail}`),
    post('content-length: +2\r\n', `{}${tail}`),
    post('content-length: -2\r\n', `{}${tail}`),
    post('content-length: 0x2\r\n', `{}${tail}`),
    post('content-length: 2 \x0b\r\n', `{}${tail}`),
    post('content-length: 2a\r\n', `{}${tail}`),
    post('content-length: 2 3\r\n', `{}${tail}`),
    post('content-length: 1e1\r\n', `{}${tail}`),
    post('content-length: \r\n', `{}${tail}`),
    post('content-length : 2\r\n', `{}${tail}`),
    post('content-length: 99999999999999999999999\r\n', `{}${tail}`),
    post('content-length: 18446744073709551618\r\n', `{}${tail}`),
    post('content\0-length: 2\r\n', `{}${tail}`),
    ...[
      'xchunked',
      'chunked, identity',
      'identity',
      'chunked, gzip',
      'chunked;a=b',
      '"chunked"',
      "'chunked'",
      'chunk',
      '',
    ].map((coding) => post(`transfer-encoding: ${coding}\r\n`, `0\r\n\r\n${tail}`)),
    post('transfer-encoding : chunked\r\n', `0\r\n\r\n${tail}`),
    post('transfer-encoding\t: chunked\r\n', `0\r\n\r\n${tail}`),
    post('transfer-encoding:\x0bchunked\r\n', `0\r\n\r\n${tail}`),
    post('transfer-encoding: \0chunked\r\n', `0\r\n\r\n${tail}`),
    post('transfer-encoding: chunked\r\n , identity\r\n', `0\r\n\r\n${tail}`),
    post('transfer-encoding:\r\n chunked\r\n', `0\r\n\r\n${tail}`),
    post(`x: y\n${chunked}`, `0\r\n\r\n${tail}`),
    post(`x: y\r${chunked}`, `0\r\n\r\n${tail}`),
    post(`${chunked}transfer-encoding: identity\r\n`, `0\r\n\r\n${tail}`),
    post(`transfer-encoding: identity\r\n${chunked}`, `0\r\n\r\n${tail}`),
    post(`content-length: 5\r\ntransfer-encoding: xchunked\r\n`, `0\r\n\r\n${tail}`),
  ]);
  refuse(
    'chunks',
    [
      ...[
        'zz\r\n{}',
        '-2\r\n{}',
        '+2\r\n{}',
        '0x2\r\n{}',
        ' 2\r\n{}',
        '2\n{}',
        '2\r{}',
        '2;\n{}',
        '2;a\nb\r\n{}',
        '2;a=b\rc\r\n{}',
      ],
      ...[
        '2\r\n{}x',
        '2\r\n{}\n0',
        '2\r\n{}\r0',
        '\r\n{}',
        '2 2\r\n{}',
        '2\x00\r\n{}',
        'fffffffffffffffff\r\n{}',
        '2g\r\n{}',
        '1;a=\0\r\n{',
      ],
      ...[`2;${'a'.repeat(100_000)}\r\n{}`, `${bytesOf('２')}\r\n{}`, '2,\r\n{}', '0002\r\n{}x', '2\r\n{\r\n0'],
    ].map((chunk) => post(chunked, `${chunk}\r\n0\r\n\r\n${tail}`)),
  );
  refuse('trailers', [
    post(chunked, `2\r\n{}\r\n0\r\nx : y\r\n\r\n${tail}`),
    post(chunked, `2\r\n{}\r\n0\r\nx y: z\r\n\r\n${tail}`),
    post(chunked, `2\r\n{}\r\n0\r\nx: \0\r\n\r\n${tail}`),
    post(chunked, `2\r\n{}\r\n0\r\n${'x: y\r\n'.repeat(20_000)}\r\n${tail}`),
  ]);

  const value = cookie.split('=')[1]!;
  // How cookies are read is identity's (src/identity/sessions/cookie.test.ts); here only that they never make two requests, a mistake of ours or another's session.
  answer(
    'cookies that name no session',
    [400, 401],
    [
      ...[
        `__host-freehold=${value}`,
        `__HOST-FREEHOLD=${value}`,
        `freehold=${value}`,
        '__Host-freehold=',
        '__Host-freehold',
        `__Host-freehold="${value}x"`,
        `__Host-freehold =${value}x`,
        `__Host-freehold=${value}%00`,
        `__Host-freehold=${value}x`,
        '__Host-freehold=__proto__',
        '__Host-freehold=constructor',
        '__proto__=x; constructor=y; toString=z',
      ].map((cookies) => get(`host: ${host}\r\ncookie: ${cookies}\r\n`)),
    ],
  );
  answer(
    'cookies beside the session',
    [200, 400, 401, 431],
    [
      ...[
        `$Version=1; ${cookie}`,
        `${cookie}; $Version=1`,
        `$Version="1"; ${cookie}; $Path="/"`,
        `x="a; ${cookie}; y=b"`,
        `$Version=1; x="a; ${cookie}; y=b"`,
        `${cookie}; x="`,
        `__proto__=x; ${cookie}`,
        `${cookie}; constructor=prototype`,
        `${cookie}; ${'x=y; '.repeat(1_000)}z=1`,
        `${cookie}; x=${'y'.repeat(5_000)}`,
        `\t${cookie}`,
        `${cookie};`,
        `;;;${cookie};;;`,
        `\u00a0${cookie}`,
        `x=${bytesOf('\u2000')}${cookie}`,
      ].map((cookies) => get(`host: ${host}\r\ncookie: ${cookies}\r\n`)),
    ],
  );
  answer(
    'names of prototypes',
    [200, 400, 404],
    [
      ...['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__'].flatMap(
        (name) => [get(own, `/api/whoami?${name}=x`), get(`${own}${name}: x\r\n`)],
      ),
      get(own, '/api/whoami?__proto__[role]=owner&constructor[prototype][role]=owner'),
      get(own, '/api/__proto__'),
      get(own, '/-/__proto__/constructor'),
    ],
  );
  answer(
    'bodies of prototypes',
    [400],
    [
      json('{"__proto__":{"role":"owner"}}'),
      json('{"a":{"__proto__":{"role":"owner"}}}'),
      json('{"\\u005f_proto__":{"role":"owner"}}'),
      json('{"constructor":{"prototype":{"role":"owner"}}}'),
      json('[{"__proto__":null}]'),
      json('{"a":'),
      json('{}{}'),
      json("{'a':1}"),
      json(`${bytesOf('\ufeff')}{`),
      json(''),
    ],
  );
  answer(
    'types of bodies',
    [400, 415],
    [
      ...[
        'text/plain',
        'application/jsonx',
        'application/x-www-form-urlencoded',
        'text/json',
        'application/json\tx',
        '',
        'application',
      ].map((type) => `POST /api/items HTTP/1.1\r\n${own}content-type: ${type}\r\ncontent-length: 2\r\n\r\n{}`),
    ],
  );
  return list;
}
