/** What of an attack must be true behind the gateway. */
export interface Attack {
  readonly what: string;
  /** One request, or what passes for one, for `/seen-` and its number. */
  readonly bytes: string;
  /** `refused`: the app sees nothing of it. Otherwise it does, and this is true of what it sees. */
  readonly must: 'refused' | { readonly without?: RegExp; readonly with?: RegExp };
}

/** Attacks that need an app behind a proxy: hidden requests, and headers that it would believe. What the parser itself refuses is in raw-messages.fixture.ts. */
export function attacks(host: string): readonly Attack[] {
  const get = (lines: string, target = '/seen-N') => `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n`;
  const post = (lines: string, body: string) => `POST /seen-N HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n${body}`;
  const hidden = `GET /smuggled HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const list: Attack[] = [];
  const add = (what: string, bytes: string, must: Attack['must']) =>
    list.push({ what, bytes: bytes.replaceAll('/seen-N', `/seen-${list.length}`), must });
  const forged = (what: string, lines: string, without: RegExp) => add(what, get(lines), { without });

  // Framing: what an app and we could count differently.
  add(
    'length and chunks',
    post('content-length: 5\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${hidden}`),
    'refused',
  );
  add(
    'chunks and length',
    post('transfer-encoding: chunked\r\ncontent-length: 5\r\n', `0\r\n\r\n${hidden}`),
    'refused',
  );
  add('two lengths', post('content-length: 0\r\ncontent-length: 5\r\n', hidden), 'refused');
  add('length as a list', post('content-length: 0, 0\r\n', hidden), 'refused');
  add('length with a sign', post('content-length: +0\r\n', hidden), 'refused');
  add('a coding before chunked', post('transfer-encoding: gzip, chunked\r\n', `0\r\n\r\n`), 'refused');
  add('a coding after chunked', post('transfer-encoding: chunked, gzip\r\n', `0\r\n\r\n${hidden}`), 'refused');
  add('chunked twice', post('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n`), 'refused');
  add('a tab before the coding', post('transfer-encoding:\tchunked\r\n', '0\r\n\r\n'), { without: /\tchunked/ });
  add('another line ending', post('transfer-encoding: chunked\nx: y\r\n', `0\r\n\r\n${hidden}`), 'refused');
  add('a folded coding', post('transfer-encoding:\r\n chunked\r\n', `0\r\n\r\n${hidden}`), 'refused');
  add('the length of a GET', get(`content-length: ${hidden.length}\r\n`) + hidden, {
    with: /\r\ncontent-length: \d+\r\n[\s\S]*GET \/smuggled/i,
  });
  add('chunks of a GET', `${get('transfer-encoding: chunked\r\n')}0\r\n\r\n`, {
    with: /\r\ntransfer-encoding: chunked\r\n/i,
  });
  add('an extension of a chunk', post('transfer-encoding: chunked\r\n', '2;a=b\r\nhi\r\n0\r\n\r\n'), {
    without: /a=b/,
  });
  add(
    'a request in a chunk',
    post('transfer-encoding: chunked\r\n', `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`),
    { with: /transfer-encoding: chunked/i },
  );
  add('a length as a trailer', post('transfer-encoding: chunked\r\n', '2\r\nhi\r\n0\r\ncontent-length: 9\r\n\r\n'), {
    without: /content-length/i,
  });
  add(
    'a host as a trailer',
    post('transfer-encoding: chunked\r\n', '2\r\nhi\r\n0\r\nhost: evil.example\r\nx-forwarded-for: 6.6.6.6\r\n\r\n'),
    { without: /evil|6\.6\.6\.6/ },
  );
  add(
    'an identity as a trailer',
    post(
      'transfer-encoding: chunked\r\n',
      '2\r\nhi\r\n0\r\nfreehold-identity: forged\r\ncookie: __Host-freehold=secret\r\n\r\n',
    ),
    { without: /forged|secret/ },
  );
  add('a length that Connection takes away', post('connection: content-length\r\ncontent-length: 2\r\n', 'hi'), {
    with: /content-length: 2/i,
  });
  add(
    'chunks that Connection takes away',
    post('connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n', '2\r\nhi\r\n0\r\n\r\n'),
    { with: /transfer-encoding: chunked/i },
  );
  add(
    'an upgrade to HTTP/2',
    get('connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n'),
    { without: /h2c|http2-settings|connection: upgrade/i },
  );
  add('an upgrade with content', post('connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n', 'hi'), {
    without: /websocket/i,
  });

  // Targets.
  add('a whole address', get('', `https://${host}/seen-N`), 'refused');
  add('a whole address of another', get('', 'http://evil.example/seen-N'), 'refused');
  add('no path', get('', 'seen'), 'refused');
  add('a request in the target', get('', '/seen-N%20HTTP/1.1%0d%0ax-forwarded-for:6.6.6.6'), {
    with: /^GET \/seen-\d+%20HTTP\/1\.1%0d%0ax/,
  });
  add('a tunnel', `CONNECT evil.example:443 HTTP/1.1\r\nhost: ${host}\r\n\r\n`, 'refused');
  add('a trace', `TRACE /seen-N HTTP/1.1\r\nhost: ${host}\r\n\r\n`, 'refused');
  add('two hosts', `GET /seen-N HTTP/1.1\r\nhost: ${host}\r\nhost: evil.example\r\n\r\n`, 'refused');
  add('the platform behind two dots', get('', '/-/../seen-N'), 'refused');

  // What an app would believe.
  for (const name of [
    'X-Forwarded-For',
    'x-FORWARDED-for',
    'X-Forwarded-Host',
    'X-Forwarded-Server',
    'X-Forwarded-Prefix',
    'X-Forwarded-User',
    'X-Forwarded-Email',
    'X-Forwarded-Client-Cert',
    'X-Forwarded-Anything',
    'Forwarded',
    'X-Real-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-Client-IP',
    'X-Cluster-Client-IP',
    'Client-IP',
    'X-Original-URL',
    'X-Original-Host',
    'X-Original-Forwarded-For',
    'X-Rewrite-URL',
    'Remote-User',
    'X-Remote-User',
    'X-Authenticated-User',
    'Freehold-Identity',
    'FREEHOLD-ANYTHING',
    'Proxy',
    'Proxy-Authorization',
    'X-Host',
  ])
    forged(name, `${name}: forged\r\n`, /forged/);
  for (const name of [
    'X_Forwarded_For',
    'Freehold_Identity',
    'X_User',
    'Content_Length',
    'Transfer_Encoding',
    'x.forwarded.for',
    "x'y",
    'x|y',
    'x~y',
    '$x',
    'x^y',
    'x`y',
    '!x',
    'x#y',
    'x%y',
    'x&y',
    'x*y',
    'x+y',
  ])
    add(`the name ${name}`, get(`${name}: forged\r\n`), 'refused');
  forged('twice, once is kept elsewhere', 'x-forwarded-for: forged\r\nx-forwarded-for: forged\r\n', /forged/);
  add(
    'our own named in Connection',
    get('connection: x-forwarded-for, x-forwarded-proto, host, freehold-identity\r\n'),
    { with: /X-Forwarded-For: 127\.0\.0\.1[\s\S]*X-Forwarded-Proto: https/ },
  );
  forged(
    'hop by hop',
    'keep-alive: forged\r\nproxy-connection: forged\r\nte: forged\r\nconnection: x-mine\r\nx-mine: forged\r\n',
    /forged/,
  );

  // The platform's cookies.
  for (const cookie of [
    '__Host-freehold=secret',
    'a=b; __Host-freehold=secret',
    '__Host-freehold=secret; a=b',
    'a=b;__Host-freehold=secret',
    'a=b;\t__Host-freehold=secret',
    '__host-FREEHOLD=secret',
    '__Host-freehold-device=secret',
    '__Host-freehold-sign-on=secret',
    '__Host-freehold-anything=secret',
    'a="b; __Host-freehold=secret; c=d"',
    'a=b, __Host-freehold=secret',
    '; ; __Host-freehold=secret;;',
    '__Host-freehold =secret',
    '$Version=1; __Host-freehold=secret',
    '__Host-freehold=secret; __Host-freehold=secret',
  ])
    forged(`the cookies ${cookie}`, `cookie: ${cookie}\r\n`, /secret/);
  forged('cookies in two lines', 'cookie: a=b\r\ncookie: __Host-freehold=secret\r\n', /secret/);
  forged('cookies with another name', 'cookie2: __Host-freehold=x\r\ncookie: __Host-freehold=secret\r\n', /secret/);
  return list;
}
