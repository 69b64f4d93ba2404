/**
 * Asks for every address of forbidden-urls.fixture.ts and prints, as one line of JSON, what came of it and how many connections were begun, by Node.js's own account and
 * by the kernel's. `inside`: this runs in a network namespace of its own in which every address is this machine; only then the public ones are asked too.
 */
import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { silentLog } from '#src/kernel/index.ts';
import { leadingInside, publicAddresses, redirectsInside, unfit } from './forbidden-urls.fixture.ts';
import { createOutgoing, type Outgoing, type ResolveName } from './index.ts';
import { startTestServer } from './test-server.fixture.ts';

export interface Finding {
  readonly asked: string;
  /** Error code; `ok` and the status; or what else was thrown. */
  readonly came: string;
  /** Connections begun meanwhile. */
  readonly begun: number;
}

export interface RunReport {
  readonly unfit: readonly Finding[];
  readonly leadingInside: readonly Finding[];
  /** The same two again, with a few servers allowed. */
  readonly withAllowed: readonly Finding[];
  readonly redirects: readonly Finding[];
  readonly public: readonly Finding[];
  /** Where connections arrived, in order. */
  readonly arrived: readonly string[];
  /** Connections that the kernel of this namespace has begun in all (`ActiveOpens`), and datagrams that it has sent. */
  readonly kernel: { readonly connections: number; readonly datagrams: number };
  readonly questionsPerName: number;
}

const isInside = process.argv.includes('inside');
let begun = 0;
channel('net.client.socket').subscribe((message) => {
  void (message as { socket: Socket }).socket;
  begun++;
});

/** Addresses by name; whatever is not in it is public, so that nothing but the text can refuse an unfit address. */
const questions = new Map<string, number>();
const table = new Map(leadingInside.map(({ name, addresses, later }) => [name, [addresses, later ?? addresses]]));
const resolve: ResolveName = async (name) => {
  const asked = questions.get(name) ?? 0;
  questions.set(name, asked + 1);
  return table.get(name)?.[Math.min(asked, 1)] ?? [isInside ? '93.184.216.34' : '127.0.0.1'];
};

async function ask(outgoing: Outgoing, url: string, label = url): Promise<Finding> {
  const before = begun;
  const came = await outgoing.fetch(url, { timeoutMs: 60_000 }).then(
    async (answer) => `ok ${answer.status} ${await answer.text()}`,
    (error: { code?: string }) => error.code ?? String(error),
  );
  return { asked: label, came, begun: begun - before };
}

async function askAll(outgoing: Outgoing, urls: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  questions.clear();
  for (const url of urls) findings.push(await ask(outgoing, url));
  return findings;
}

const strict = createOutgoing({ allow: [], log: silentLog, resolve });
const unfitUrls = Object.values(unfit).flat();
const insideUrls = leadingInside.map(({ name }) => `https://${name}/metadata`);
const report = {
  unfit: await askAll(strict, unfitUrls),
  leadingInside: await askAll(strict, insideUrls),
  questionsPerName: Math.max(...questions.values()),
  withAllowed: await askAll(
    createOutgoing({
      allow: ['idp.corp.example', 'keycloak.corp.example:8443', '10.77.0.0/16', 'fd77::/48', '192.168.77.7:5432'],
      log: silentLog,
      resolve,
    }),
    [...unfitUrls, ...insideUrls],
  ),
  ...(isInside ? await askPublic() : { redirects: [], public: [], arrived: [] }),
  kernel: isInside ? readCounters() : { connections: 0, datagrams: 0 },
} satisfies RunReport;
process.stdout.write(`${JSON.stringify(report)}\n`);

/** What is allowed does get through; otherwise the rest would prove nothing. */
async function askPublic() {
  const arrived: string[] = [];
  const server = await startTestServer(
    (request, answer) => {
      const to = new URL(request.url!, 'https://idp.example').searchParams.get('to');
      if (to === null) return void answer.end('hello');
      answer.writeHead(302, { location: to }).end();
    },
    { host: '::', port: 443 },
  );
  server.server.on('connection', (socket: Socket) => arrived.push(socket.localAddress!.replace(/^::ffff:/, '')));
  const findings: Finding[] = [];
  for (const address of publicAddresses) {
    let asked = 0;
    // Once it leads outside, from then on inside.
    const once: ResolveName = async () => [asked++ === 0 ? address : isIP(address) === 4 ? '127.0.0.1' : '::1'];
    const outgoing = createOutgoing({ allow: [], ca: server.ca, log: silentLog, resolve: once });
    findings.push(await ask(outgoing, 'https://idp.example/', address));
  }
  const outgoing = createOutgoing({ allow: [], ca: server.ca, log: silentLog, resolve });
  const redirects: Finding[] = [];
  for (const to of redirectsInside) {
    redirects.push(await ask(outgoing, `https://idp.example/?to=${encodeURIComponent(to)}`, to));
  }
  await server.stop();
  return { public: findings, redirects, arrived };
}

/** Of this network namespace (proc(5), /proc/net/snmp). */
function readCounters(): RunReport['kernel'] {
  const lines = readFileSync('/proc/net/snmp', 'utf8').split('\n');
  const read = (protocol: string, name: string) => {
    const [names, values] = lines.filter((line) => line.startsWith(`${protocol}: `)).map((line) => line.split(' ')) as [
      string[],
      string[],
    ];
    return Number(values[names.indexOf(name)]);
  };
  return { connections: read('Tcp', 'ActiveOpens'), datagrams: read('Udp', 'OutDatagrams') };
}
