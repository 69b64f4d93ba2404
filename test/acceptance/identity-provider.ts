/** An identity provider of somebody's own, over TLS with a certificate of its own authority, and the name server of its company. Imports nothing of ours. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import Provider from 'oidc-provider';
import { newFolder } from './harness.ts';
import { createSamlSide, type SamlSide } from './saml-provider.ts';

const host = 'idp.localhost';

export interface Account {
  readonly sub: string;
  readonly email: string;
  readonly name: string;
  readonly groups: readonly string[];
}

export class IdentityProvider {
  readonly issuer: string;
  readonly caFile: string;
  /** What to tell Freehold about it. */
  readonly env: Record<string, string>;
  /** TXT records by name. */
  readonly records = new Map<string, string>();
  readonly client = { id: 'freehold', secret: crypto.randomUUID() };
  readonly accounts = new Map<string, Account>();
  saml: SamlSide | undefined;
  readonly #server: Server;
  readonly #dns: Socket;
  readonly #folder: string;
  #handle: (req: IncomingMessage, res: ServerResponse) => void = (_, res) => res.destroy();

  private constructor(server: Server, dns: Socket, folder: string, port: number) {
    this.#server = server;
    this.#dns = dns;
    this.#folder = folder;
    this.issuer = `https://${host}:${port}`;
    this.caFile = join(folder, 'ca.pem');
    this.env = {
      FREEHOLD_OUTGOING_ALLOW: `${host}:${port}`,
      FREEHOLD_OUTGOING_CA_FILE: this.caFile,
      FREEHOLD_DNS_SERVERS: `127.0.0.1:${dns.address().port}`,
    };
  }

  static async start(): Promise<IdentityProvider> {
    const folder = newFolder();
    const { ca, certificate, key } = await makeCertificate();
    let provider: IdentityProvider | undefined;
    const server = createServer({ key, cert: certificate }, (req, res) => provider!.#handle(req, res));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const dns = createSocket('udp4');
    dns.on('message', (query, from) => {
      const answer = provider && answerTxt(query, (name) => provider!.records.get(name));
      if (answer) dns.send(answer, from.port, from.address);
    });
    dns.bind(0, '127.0.0.1');
    await once(dns, 'listening');
    provider = new IdentityProvider(server, dns, folder, (server.address() as { port: number }).port);
    writeFileSync(provider.caFile, ca, { mode: 0o644 });
    return provider;
  }

  /** Knows this client from now on. */
  async register(redirectUri: string): Promise<void> {
    const saml = await createSamlSide(this.issuer, this.accounts);
    this.saml = saml;
    const provider = new Provider(this.issuer, {
      clients: [{ client_id: this.client.id, client_secret: this.client.secret, redirect_uris: [redirectUri] }],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
      findAccount: async (_context, sub) => ({
        accountId: sub,
        claims: async () => ({ ...this.accounts.get(sub), sub, email_verified: true }) as never,
      }),
      features: { devInteractions: { enabled: false } },
      interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
      cookies: { keys: [crypto.randomUUID()] },
    });
    const callback = provider.callback();
    this.#handle = (req, res) => {
      const at = new URL(req.url!, this.issuer);
      if (at.pathname.startsWith('/saml/')) return void saml.handle(at, req, res).catch(() => res.destroy());
      if (!at.pathname.startsWith('/interaction/')) return void callback(req, res);
      this.#interact(provider, req, res, at).catch(() => res.destroy());
    };
  }

  /** A page on which one says who one is, and that one may be told of. */
  async #interact(provider: Provider, req: IncomingMessage, res: ServerResponse, at: URL): Promise<void> {
    const { params } = await provider.interactionDetails(req, res);
    const account = at.searchParams.get('account');
    if (!account) {
      const links = [...this.accounts.values()].map(
        ({ sub, name }) => `<li><a href="?account=${sub}">${name}</a></li>`,
      );
      res.setHeader('content-type', 'text/html; charset=utf-8');
      res.end(`<!doctype html><html lang="en"><title>Contoso</title><h1>Who are you?</h1><ul>${links.join('')}</ul>`);
      return;
    }
    const grant = new provider.Grant({ accountId: account, clientId: String(params.client_id) });
    grant.addOIDCScope('openid email profile');
    await provider.interactionFinished(req, res, {
      login: { accountId: account, remember: false },
      consent: { grantId: await grant.save() },
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    await new Promise<void>((resolve) => this.#dns.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function makeCertificate() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const make = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [caKeys, keys] = [await make(), await make()];
  const notBefore = new Date(Date.now() - 86_400_000);
  const notAfter = new Date(Date.now() + 86_400_000);
  const times = { notBefore, notAfter, signingAlgorithm: algorithm };
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...times,
    serialNumber: '01',
    name: 'CN=Contoso authority',
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...times,
    serialNumber: '02',
    subject: `CN=${host}`,
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: host }])],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    ca: ca.toString('pem'),
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
  };
}

/** RFC 1035: one question, at most one TXT record as the answer. */
function answerTxt(query: Buffer, find: (name: string) => string | undefined): Buffer | undefined {
  if (query.length < 17) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.subarray(at + 1, at + 1 + length).toString('latin1'));
    at += 1 + length;
  }
  const question = query.subarray(12, at + 5);
  const value = query.readUInt16BE(at + 1) === 16 ? find(labels.join('.').toLowerCase()) : undefined;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(value === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(value === undefined ? 0 : 1, 6);
  header.writeUInt32BE(0, 8);
  if (value === undefined) return Buffer.concat([header, question]);
  const text = Buffer.from(value, 'latin1');
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(16, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(1, 6);
  record.writeUInt16BE(text.length + 1, 10);
  return Buffer.concat([header, question, record, Buffer.of(text.length), text]);
}
