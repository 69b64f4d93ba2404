/**
 * SimpleSAMLphp (Debian's package, unpacked beside the checkout by `./freehold test`) as an identity provider, served by PHP's own server: configuration in a folder of its own,
 * one person who is signed in without being asked.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../.freehold/simplesamlphp/usr/share/simplesamlphp/', import.meta.url));

export interface ServiceProviderFacts {
  readonly entityId: string;
  readonly acsUrl: string;
  readonly sloUrl: string;
  /** Base64 of the certificate, as our metadata have it. */
  readonly certificate: string;
}

export interface PhpOptions {
  readonly signsResponse: boolean;
  readonly signsAssertion: boolean;
  /** AES-128-CBC with RSA-OAEP: version 1.19 has no other. */
  readonly encryptsAssertion: boolean;
}

export interface SimpleSamlPhp {
  readonly metadata: string;
  /** What it is told about us, and how it is to answer. */
  configure(provider: ServiceProviderFacts, options: PhpOptions): Promise<void>;
  /** A browser of its own. */
  openBrowser(): PhpBrowser;
  /** Begins signing out at the provider. */
  readonly signOutUrl: string;
  stop(): Promise<void>;
}

/** Where the browser ends up: at an address of ours, or on a page of the provider. */
export interface Landing {
  readonly url: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly page: string;
}

export interface PhpBrowser {
  /** Follows the provider's redirections up to the first address that is not its own, and reads a form to such a one. */
  go(url: string): Promise<Landing>;
}

export async function startSimpleSamlPhp({
  person,
  key,
  certificate,
}: {
  readonly person: { readonly uid: string; readonly email: string };
  /** Of the provider, PEM. */
  readonly key: string;
  readonly certificate: string;
}): Promise<SimpleSamlPhp> {
  await stat(program).catch(() => {
    throw new Error('SimpleSAMLphp is missing: ./freehold test unpacks it where there is apt-get');
  });
  const folder = await mkdtemp(join(tmpdir(), 'fh-simplesamlphp-'));
  const config = join(folder, 'config');
  for (const name of ['config/metadata', 'cert', 'data', 'log', 'tmp', 'sessions'])
    await mkdir(join(folder, name), { recursive: true });
  const port = await freePort();
  const origin = 'https://idp.example';
  const write = (name: string, php: string) => writeFile(join(folder, name), `<?php\n${php}\n`);
  await writeFile(join(folder, 'cert/idp.pem'), key);
  await writeFile(join(folder, 'cert/idp.crt'), certificate);
  await write(
    'config/config.php',
    `$config = ${php({
      baseurlpath: `${origin}/simplesaml/`,
      certdir: `${folder}/cert/`,
      loggingdir: `${folder}/log/`,
      datadir: `${folder}/data/`,
      tempdir: `${folder}/tmp`,
      metadatadir: `${config}/metadata`,
      secretsalt: 'of a test alone, and long enough for it',
      'auth.adminpassword': 'nobody signs in with this one',
      timezone: 'UTC',
      technicalcontact_email: 'nobody@example.org',
      'logging.handler': 'file',
      'logging.level': 4,
      'enable.saml20-idp': true,
      'module.enable': { exampleauth: true, core: true, saml: true },
      'store.type': 'phpsession',
      'session.phpsession.savepath': `${folder}/sessions`,
      'session.cookie.secure': false,
      'language.available': ['en'],
      'language.default': 'en',
      'metadata.sources': [{ type: 'flatfile', directory: `${config}/metadata` }],
      'authproc.idp': {},
    })};`,
  );
  await write(
    'config/authsources.php',
    // A key that is a number is one in PHP, too.
    `$config = ${php({ person: { 0: 'exampleauth:StaticSource', uid: [person.uid], email: [person.email] } })};`,
  );
  await write(
    'config/metadata/saml20-idp-hosted.php',
    `$metadata[${quote(`${origin}/metadata`)}] = ${php({
      host: '__DEFAULT__',
      privatekey: 'idp.pem',
      certificate: 'idp.crt',
      auth: 'person',
      'signature.algorithm': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
      NameIDFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      'redirect.sign': true,
      'redirect.validate': true,
      'sign.logout': true,
      'validate.logout': true,
      authproc: { 3: { class: 'saml:PersistentNameID', attribute: 'uid' } },
    })};`,
  );
  const child = spawn(
    'php',
    ['-d', 'display_errors=0', '-d', 'log_errors=0', '-S', `127.0.0.1:${port}`, '-t', join(program, 'www')],
    { env: { ...process.env, SIMPLESAMLPHP_CONFIG_DIR: config, PHP_CLI_SERVER_WORKERS: '1' }, stdio: 'ignore' },
  );
  await untilAnswers(port, child);
  const local = (url: string) => {
    const { pathname, search } = new URL(url);
    return { path: pathname.replace(/^\/simplesaml/, '') + search };
  };
  const { body: metadata } = await get(port, local(`${origin}/simplesaml/saml2/idp/metadata.php`).path, '');

  return {
    metadata,
    signOutUrl: `${origin}/simplesaml/saml2/idp/initSLO.php?RelayState=${encodeURIComponent(`${origin}/done`)}`,
    async configure(provider, options) {
      await write(
        'config/metadata/saml20-sp-remote.php',
        `$metadata[${quote(provider.entityId)}] = ${php({
          AssertionConsumerService: provider.acsUrl,
          SingleLogoutService: provider.sloUrl,
          certData: provider.certificate,
          NameIDFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
          'simplesaml.attributes': true,
          'saml20.sign.response': options.signsResponse,
          'saml20.sign.assertion': options.signsAssertion,
          'assertion.encryption': options.encryptsAssertion,
          'validate.authnrequest': true,
          'validate.logout': true,
          'sign.logout': true,
        })};`,
      );
    },
    openBrowser() {
      const cookies = new Map<string, string>();
      return {
        async go(start) {
          let url = start;
          for (let hop = 0; hop < 15; hop++) {
            if (!url.startsWith(`${origin}/simplesaml/`)) return { url, fields: {}, page: '' };
            const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
            const { location, body, setCookies } = await get(port, local(url).path, cookie);
            for (const line of setCookies) {
              const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
              cookies.set(name!, value!);
            }
            if (location === undefined) return readForm(url, body);
            url = new URL(location, url).href;
          }
          throw new Error('the provider redirects without end');
        },
      };
    },
    async stop() {
      if (child.exitCode === null) {
        child.kill();
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type PhpValue = string | number | boolean | readonly PhpValue[] | { readonly [key: string]: PhpValue };

const quote = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;

function php(value: PhpValue): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map(php).join(', ')}]`;
  return `[${Object.entries(value)
    .map(([key, one]) => `${quote(key)} => ${php(one)}`)
    .join(', ')}]`;
}

const unescapeHtml = (text: string) =>
  text.replace(
    /&(amp|lt|gt|quot|#0?39);/g,
    (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name as 'amp'] ?? "'",
  );

function readForm(url: string, page: string): Landing {
  const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1];
  const fields = [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(
    ([, name, value]) => [name!, unescapeHtml(value!)] as const,
  );
  return { url: action ? unescapeHtml(action) : url, fields: Object.fromEntries(fields), page };
}

async function get(port: number, path: string, cookie: string) {
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    headers: { host: 'idp.example', ...(cookie && { cookie }) },
  }).end();
  const [answer] = await once(sent, 'response');
  const body = ((await answer.setEncoding('utf8').toArray()) as string[]).join('');
  return {
    status: answer.statusCode as number,
    location: answer.headers.location as string | undefined,
    setCookies: (answer.headers['set-cookie'] ?? []) as string[],
    body,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function untilAnswers(port: number, child: ChildProcess): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null || child.pid === undefined)
      throw new Error('PHP did not start: apt-get install php-cli php-xml php-mbstring');
    const status = await get(port, '/index.php', '').then(
      (answer) => answer.status,
      () => undefined,
    );
    if (status !== undefined) return;
    if (Date.now() > end) throw new Error('PHP does not answer');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
