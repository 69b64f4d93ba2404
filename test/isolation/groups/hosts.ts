/**
 * One connection, one tenant: what a Host header, an authority, a forwarded header or a page of another origin could say to reach a tenant
 * that the connection was not made for. The list of Host tricks follows RFC 9110 (7.2, 7.4), RFC 9112 (3.2) and RFC 9113 (8.3.1).
 */
import { cookiesOf, type Side } from '../side.ts';
import { parseRaw, type WireAnswer, type WireRequest } from '../wire.ts';
import { otherOf, type World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeHosts(world: World): Promise<void> {
  for (const side of [world.b, world.a]) {
    await probeHostHeaders(world, side);
    await probeForwarded(world, side);
    await probeHttp2(world, side);
    await probePlainHttp(world, side);
  }
  await probeReusedConnection(world);
  await probeConsole(world);
  await probeOtherSites(world);
}

/** Sends raw bytes as this tenant's owner, over a connection for `serverName`. */
async function sendRaw(
  { wire, inspector, b }: World,
  side: Side,
  request: { lines: readonly string[]; serverName?: string | undefined; belongsTo: Side | undefined },
): Promise<WireAnswer> {
  const { lines, belongsTo } = request;
  const serverName = 'serverName' in request ? request.serverName : side.host;
  const bytes = `${lines.join('\r\n')}\r\ncookie: ${cookiesOf(side.people.owner)}\r\nconnection: close\r\n\r\n`;
  const answer = parseRaw(await wire.raw(b.doors[0]!, bytes, serverName));
  // The request line may name the other tenant: that much the caller knew.
  const asked = { method: 'raw', path: bytes, host: '', serverName: serverName ?? '', headers: {} };
  inspector.inspect(belongsTo, asked, answer);
  return answer;
}

async function probeHostHeaders(world: World, side: Side): Promise<void> {
  const { report } = world;
  const other = otherOf(world, side);
  const get = 'GET /api/me HTTP/1.1';
  const mine = side.authority;
  const port = mine.split(':')[1]!;
  const refused: Record<string, readonly string[]> = {
    'two Host headers, the other one second': [get, `host: ${mine}`, `host: ${other.authority}`],
    'two Host headers, the other one first': [get, `host: ${other.authority}`, `Host: ${mine}`],
    'the same Host twice': [get, `host: ${mine}`, `host: ${mine}`],
    'no Host': [get],
    'HTTP/1.0 without Host': ['GET /api/me HTTP/1.0'],
    'absolute target of the other tenant': [`GET https://${other.authority}/api/me HTTP/1.1`, `host: ${mine}`],
    'absolute target of this tenant': [`GET https://${mine}/api/me HTTP/1.1`, `host: ${mine}`],
    'absolute target, Host of the other': [`GET https://${mine}/api/me HTTP/1.1`, `host: ${other.authority}`],
    'a target that is no path': ['GET api/me HTTP/1.1', `host: ${mine}`],
    'user information': [get, `host: ${side.host}@${other.authority}`],
    'user information with port': [get, `host: ${other.authority}@${mine}`],
    'a list': [get, `host: ${mine}, ${other.authority}`],
    'a space inside': [get, `host: ${side.host} :${port}`],
    'a trailing dot': [get, `host: ${side.host}.:${port}`],
    'an empty label': [get, `host: ${side.name}..localhost:${port}`],
    'an underscore': [get, `host: ${side.name}_.localhost:${port}`],
    'percent encoding': [get, `host: ${side.name}%2elocalhost:${port}`],
    'a path': [get, `host: ${mine}/${other.host}`],
    'another port': [get, `host: ${side.host}:${Number(port) + 1}`],
    'no port': [get, `host: ${side.host}`],
    'port with a zero in front': [get, `host: ${side.host}:0${port}`],
    'a port that is no number': [get, `host: ${side.host}:https`],
    'an empty port': [get, `host: ${side.host}:`],
    'a letter that folds into ASCII': [get, `host: ${side.name.replace(/.$/, '\u212a')}.localhost:${port}`],
    'a continued line': [get, `host: ${mine}`, ` ${other.authority}`],
    'a space before the colon': [get, `host : ${mine}`],
  };
  for (const [what, lines] of Object.entries(refused)) {
    const answer = await sendRaw(world, side, { lines, belongsTo: undefined });
    report.check(what, answer.status === 400, describe(answer));
  }
  const elsewhere: Record<string, readonly [host: string, serverName: string | undefined]> = {
    'the other tenant on this connection': [other.authority, side.host],
    'this tenant on a connection for the other': [mine, other.host],
    'this tenant on a connection without a name': [mine, undefined],
    'this tenant on a connection for the base domain': [mine, 'localhost'],
    'the base domain on this connection': [`localhost:${port}`, side.host],
    'one label more': [`x.${mine}`, side.host],
    'the domain as a suffix without its dot': [`${side.name}localhost:${port}`, side.host],
    'an address': [`127.0.0.1:${port}`, side.host],
    'a host below this tenant, also in the handshake': [`x.${mine}`, `x.${side.host}`],
    'an unknown tenant': [`nobody-here.localhost:${port}`, 'nobody-here.localhost'],
  };
  for (const [what, [host, name]] of Object.entries(elsewhere)) {
    // No name in a handshake can only be had with an address of no use as a name.
    const serverName = name ?? '';
    const answer = await sendRaw(world, side, { lines: [get, `host: ${host}`], serverName, belongsTo: undefined });
    report.check(what, [400, 404, 421].includes(answer.status), describe(answer));
  }
  for (const [what, host, serverName] of [
    ['upper case', mine.toUpperCase(), side.host],
    ['upper case in the handshake', mine, side.host.toUpperCase()],
  ] as const) {
    const answer = await sendRaw(world, side, { lines: [get, `host: ${host}`], serverName, belongsTo: side });
    report.check(
      `${what} is the same tenant`,
      answer.status === 200 && answer.text.includes(side.title),
      describe(answer),
    );
  }
  for (const method of ['CONNECT', 'TRACE', 'PROPFIND']) {
    const lines = [`${method} ${method === 'CONNECT' ? other.authority : '/api/me'} HTTP/1.1`, `host: ${mine}`];
    const answer = await sendRaw(world, side, { lines, belongsTo: undefined });
    report.check(`method ${method}`, answer.status >= 400 && answer.status < 500, describe(answer));
  }
}

/** Headers in which proxies tell where a request was meant to go. There is no proxy, so nobody is believed. */
async function probeForwarded({ report, ...world }: World, side: Side): Promise<void> {
  const other = otherOf(world, side);
  const headers = {
    'x-forwarded-host': other.authority,
    'x-forwarded-server': other.host,
    'x-host': other.authority,
    'x-original-host': other.authority,
    'x-http-host-override': other.authority,
    'x-original-url': `https://${other.authority}/api/me`,
    'x-rewrite-url': '/-/api/users',
    forwarded: `host="${other.authority}";proto=https`,
    'x-tenant': other.name,
    'x-tenant-id': other.tenantId,
  };
  for (const [name, value] of Object.entries(headers)) {
    const as = side.people.owner;
    const answer = await side.send('GET', '/api/me', { as, headers: { [name]: value } });
    report.check(`${name} is ignored`, answer.status === 200 && answer.text.includes(side.title), describe(answer));
    const email = side.mark(`${side.newMarker('f').toLowerCase()}@example.com`);
    const invited = await side.send('POST', '/-/api/invitations', {
      as,
      headers: { [name]: value },
      body: { email, role: 'member' },
    });
    const { url = '' } = invited.json ?? {};
    report.check(
      `${name} is not in links`,
      url.startsWith(`https://${side.authority}/-/invitations/`),
      describe(invited),
    );
  }
}

async function probeHttp2(world: World, side: Side): Promise<void> {
  const { report, wire, inspector } = world;
  const other = otherOf(world, side);
  const cookie = cookiesOf(side.people.owner);
  const cases: readonly (readonly [what: string, status: number, headers: Record<string, string>])[] = [
    ['authority of this tenant', 200, { ':authority': side.authority }],
    ['authority of the other tenant', 421, { ':authority': other.authority }],
    ['authority and Host differ', 400, { ':authority': side.authority, host: other.authority }],
    ['Host and authority differ', 400, { ':authority': other.authority, host: side.authority }],
    ['authority with user information', 400, { ':authority': `${other.host}@${side.authority}` }],
    ['authority with another port', 400, { ':authority': `${side.host}:1` }],
  ];
  for (const [what, status, headers] of cases) {
    const answer = await wire.http2(side.doors[0]!, side.host, { ':path': '/api/me', cookie, ...headers });
    const asked = { method: 'GET', path: '/api/me', host: JSON.stringify(headers), serverName: side.host, headers };
    if (answer.status !== 0) inspector.inspect(status === 200 ? side : undefined, asked, answer);
    const isRefused = status >= 400 && answer.status === 0;
    report.check(`HTTP/2: ${what}`, answer.status === status || isRefused, describe(answer));
  }
}

/** Plain HTTP tells the way to HTTPS of our own hosts, and nothing else. */
async function probePlainHttp(world: World, side: Side): Promise<void> {
  const { report } = world;
  const plain = (...lines: string[]) => sendRaw(world, side, { lines, serverName: undefined, belongsTo: side });
  const redirected = await plain('GET /projects HTTP/1.1', `host: ${side.authority}`);
  report.check('plain HTTP is redirected', redirected.status === 308, describe(redirected));
  report.check(
    'to the same host',
    redirected.headers.location === `https://${side.authority}/projects`,
    String(redirected.headers.location),
  );
  const refused = await plain('GET /api/me HTTP/1.1', `host: ${side.authority}`);
  report.check('a program is not', refused.status === 403 && !refused.headers.location, describe(refused));
  for (const [what, lines] of Object.entries({
    'a foreign host': ['GET / HTTP/1.1', 'host: evil.example'],
    'two hosts': ['GET / HTTP/1.1', `host: ${side.authority}`, 'host: evil.example'],
    'an absolute target': ['GET https://evil.example/ HTTP/1.1', `host: ${side.authority}`],
    'a host as user': ['GET / HTTP/1.1', `host: ${side.host}@evil.example`],
  })) {
    const answer = await plain(...lines);
    const isRefused = answer.status === 400 && answer.headers.location === undefined;
    report.check(`plain HTTP, ${what}`, isRefused, `${describe(answer)} ${answer.headers.location}`);
  }
}

/** Two requests on one connection are two requests: the second is judged by itself. */
async function probeReusedConnection({ report, wire, inspector, a, b }: World): Promise<void> {
  const ask = (side: Side, rest: string) =>
    `GET /api/me HTTP/1.1\r\nhost: ${side.authority}\r\ncookie: ${cookiesOf(side.people.owner)}\r\n${rest}\r\n`;
  const text = await wire.raw(b.doors[0]!, ask(b, '') + ask(a, 'connection: close\r\n'), b.host);
  const [, first = '', second = ''] = text.split(/HTTP\/1\.1 (?=\d{3} )/);
  report.check('the first of two on a connection is answered', first.startsWith('200'), first.slice(0, 100));
  report.check('the second, for another tenant, is not', second.startsWith('421'), second.slice(0, 100));
  const answer = { ...parseRaw(`HTTP/1.1 ${second}`), text };
  inspector.inspect(b, { method: 'GET', path: '/api/me', host: '', serverName: b.host, headers: {} }, answer);
}

/** The operator's console knows no user of any tenant, and a tenant's door no console. */
async function probeConsole({ report, wire, inspector, product, a, b }: World): Promise<void> {
  const console = `localhost:${product.consolePort}`;
  const paths = ['/api/tenants', `/api/tenants/${a.name}`, '/api/operations', '/api/audit', '/metrics', '/api/health'];
  for (const path of paths) {
    for (const cookie of [cookiesOf(b.people.owner), `__Host-freehold-console=${b.people.owner.session}`, '']) {
      const request: WireRequest = {
        port: product.consolePort,
        serverName: 'localhost',
        host: console,
        method: 'GET',
        path,
        headers: cookie ? { cookie } : {},
      };
      const answer = await wire.send(request);
      inspector.inspect(undefined, request, answer);
      report.check(`console ${path} with a user's cookies`, [401, 404].includes(answer.status), describe(answer));
    }
    const atTenant = await b.send('GET', path, { as: b.people.owner });
    const isConsole = atTenant.status === 200 && atTenant.headers['content-type'] !== undefined && path !== '/metrics';
    report.check(`${path} at a tenant's door is no console`, !isConsole, describe(atTenant));
    const elsewhere = await wire.send({
      ...b.requestOf('GET', path),
      port: product.consolePort,
      serverName: 'localhost',
    });
    report.check("a tenant's host at the console's port", elsewhere.status >= 400, describe(elsewhere));
  }
}

/** A page of one tenant in the browser of somebody who is signed in at the other. SameSite lets it through: they are one site. */
async function probeOtherSites({ report, a, b }: World): Promise<void> {
  const as = b.people.owner;
  const origin = `https://${a.authority}`;
  const body = { name: b.newMarker('Forged') };
  const writes: Record<string, Record<string, string>> = {
    'origin of the other tenant': { origin },
    'origin null': { origin: 'null' },
    'origin of the base domain': { origin: `https://localhost:${b.authority.split(':')[1]}` },
    'origin with another port': { origin: `https://${b.host}:1` },
    'origin without TLS': { origin: `http://${b.authority}` },
    'same-site': { 'sec-fetch-site': 'same-site' },
    'cross-site': { 'sec-fetch-site': 'cross-site' },
    'same-site and our origin': { 'sec-fetch-site': 'same-site', origin: `https://${b.authority}` },
  };
  for (const [what, headers] of Object.entries(writes)) {
    for (const [method, path] of [
      ['PATCH', '/-/api/profile'],
      ['POST', '/-/api/invitations'],
      ['DELETE', '/-/api/session'],
    ] as const) {
      const answer = await b.send(method, path, { as, headers, body: method === 'DELETE' ? undefined : body });
      report.check(`${method} ${path} by a page, ${what}`, answer.status === 403, describe(answer));
    }
  }
  const still = await b.send('GET', '/-/api/session', { as });
  report.check('nothing was done by another page', still.status === 200, describe(still));
  for (const site of ['same-site', 'cross-site']) {
    for (const [mode, destination] of [
      ['cors', 'empty'],
      ['no-cors', 'image'],
      ['no-cors', 'script'],
      ['navigate', 'iframe'],
    ] as const) {
      const headers = { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination };
      for (const path of ['/api/items', '/-/api/session', `/api/attachments/${b.shared.attachment}/content`]) {
        const answer = await b.send('GET', path, { as, headers });
        report.check(`${path} read by another page, ${site} ${mode}`, answer.status === 403, describe(answer));
      }
    }
    const preflight = await b.send('OPTIONS', '/api/items', {
      headers: { origin, 'access-control-request-method': 'POST', 'sec-fetch-site': site },
    });
    report.check('a preflight is not granted', preflight.status >= 400, describe(preflight));
  }
  const asForm = await b.send('POST', '/-/api/session', {
    as,
    headers: { 'content-type': 'text/plain' },
    body: { email: 'x@example.com', password: 'x' },
  });
  report.check('a body that needs no preflight', asForm.status === 415, describe(asForm));
}
