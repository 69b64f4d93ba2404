/** The SAML side of an identity provider, by `samlp` of Auth0, as a handler of requests. Imports nothing of ours. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { inflateRawSync } from 'node:zlib';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Account } from './identity-provider.ts';

/** It has no types. */
const samlp = createRequire(import.meta.url)('samlp') as {
  getSamlResponse(
    options: object,
    user: object,
    callback: (error: Error | null, response?: string | Buffer) => void,
  ): void;
};

export interface SamlSide {
  /** Answers whatever is below `/saml/`. */
  handle(at: URL, req: IncomingMessage, res: ServerResponse): Promise<void>;
  readonly metadata: string;
}

/** `origin`: of the provider, whose entity ID it is. */
export async function createSamlSide(origin: string, accounts: ReadonlyMap<string, Account>): Promise<SamlSide> {
  const { certificate, key } = await makeSigner();
  const metadata =
    `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${origin}">` +
    '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">' +
    `<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${certificate.replace(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>` +
    '</md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" ' +
    `Location="${origin}/saml/sign-in"/></md:IDPSSODescriptor></md:EntityDescriptor>`;

  function answer(request: string, { sub, email, name }: Account): Promise<string> {
    const find = (pattern: RegExp) => pattern.exec(request)![1]!;
    const acsUrl = find(/ AssertionConsumerServiceURL="([^"]+)"/);
    const options = {
      issuer: origin,
      audience: find(/<saml:Issuer>([^<]+)</),
      recipient: acsUrl,
      destination: acsUrl,
      inResponseTo: find(/ ID="([^"]+)"/),
      cert: certificate,
      key,
      signatureAlgorithm: 'rsa-sha256',
      digestAlgorithm: 'sha256',
      nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      sessionIndex: `_${crypto.randomUUID()}`,
    };
    const user = { id: sub, emails: [{ value: email }], displayName: name, name: { givenName: name } };
    return new Promise((resolve, reject) => {
      samlp.getSamlResponse(options, user, (error, response) => (error ? reject(error) : resolve(String(response))));
    });
  }

  return {
    metadata,
    async handle(at, _req, res) {
      if (at.pathname === '/saml/metadata') {
        res.setHeader('content-type', 'application/samlmetadata+xml');
        res.end(metadata);
        return;
      }
      res.setHeader('content-type', 'text/html; charset=utf-8');
      const account = accounts.get(at.searchParams.get('account') ?? '');
      const page = (text: string) =>
        res.end(`<!doctype html><html lang="en"><title>Contoso</title><h1>Who are you?</h1>${text}`);
      if (!account) {
        const query = at.search.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
        page(
          [...accounts.values()].map(({ sub, name }) => `<a href="${query}&amp;account=${sub}">${name}</a>`).join(' '),
        );
        return;
      }
      const request = inflateRawSync(Buffer.from(at.searchParams.get('SAMLRequest')!, 'base64')).toString('utf8');
      const acsUrl = / AssertionConsumerServiceURL="([^"]+)"/.exec(request)![1]!;
      const response = Buffer.from(await answer(request, account)).toString('base64');
      const relayState = at.searchParams.get('RelayState')!;
      page(
        `<form method="post" action="${acsUrl}"><input type="hidden" name="SAMLResponse" value="${response}"><input type="hidden" name="RelayState" value="${relayState}"></form><script>document.forms[0].submit()</script>`,
      );
    },
  };
}

async function makeSigner() {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '03',
    name: 'CN=Contoso SAML',
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
  return { certificate: certificate.toString('pem'), key };
}
