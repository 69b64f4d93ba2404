/** The SAML side of an identity provider, by `samlp` of Auth0, as a handler of requests. Imports nothing of ours. */

import { createSign } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
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
  /** Where the service takes log-out messages, as its metadata say. */
  sloUrl: string;
}

/** `origin`: of the provider, whose entity ID it is. */
export async function createSamlSide(origin: string, accounts: ReadonlyMap<string, Account>): Promise<SamlSide> {
  const { certificate, key } = await makeSigner();
  const metadata =
    `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${origin}">` +
    '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">' +
    `<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${certificate.replace(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>` +
    '</md:KeyDescriptor><md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" ' +
    `Location="${origin}/saml/sign-out"/><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" ` +
    `Location="${origin}/saml/sign-in"/></md:IDPSSODescriptor></md:EntityDescriptor>`;
  /** Whoever signed in last, as told. */
  let last = { nameId: '', sessionIndex: '', spEntityId: '' };

  /** The address of the service with a signed message (bindings 3.4.4.1). */
  function redirection(
    field: 'SAMLRequest' | 'SAMLResponse',
    kind: string,
    content: string,
    relayState: string | null,
  ): string {
    const xml =
      `<samlp:${kind} xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ` +
      `ID="_${crypto.randomUUID()}" Version="2.0" IssueInstant="${new Date().toISOString()}" Destination="${side.sloUrl}"${content}</samlp:${kind}>`;
    const query = [
      `${field}=${encodeURIComponent(deflateRawSync(xml).toString('base64'))}`,
      ...(relayState === null ? [] : [`RelayState=${encodeURIComponent(relayState)}`]),
      `SigAlg=${encodeURIComponent('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')}`,
    ].join('&');
    const signature = createSign('sha256').update(query).sign(key, 'base64');
    return `${side.sloUrl}?${query}&Signature=${encodeURIComponent(signature)}`;
  }

  /** Sign-out: begun here (without a message), asked for by the service, or answered by it. */
  function signOut(at: URL, res: ServerResponse): void {
    const [request, response] = ['SAMLRequest', 'SAMLResponse'].map((name) => at.searchParams.get(name));
    const issuer = `><saml:Issuer>${origin}</saml:Issuer>`;
    if (response) {
      const answer = inflateRawSync(Buffer.from(response, 'base64')).toString('utf8');
      res.end(
        `<!doctype html><html lang="en"><title>Contoso</title><h1>${answer.includes('status:Success') ? 'Signed out everywhere' : 'Not everywhere'}</h1>`,
      );
      return;
    }
    const asked = request && inflateRawSync(Buffer.from(request, 'base64')).toString('utf8');
    const status =
      '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>';
    const location = asked
      ? redirection(
          'SAMLResponse',
          'LogoutResponse',
          ` InResponseTo="${/ ID="([^"]+)"/.exec(asked)![1]!}"${issuer}${status}`,
          at.searchParams.get('RelayState'),
        )
      : redirection(
          'SAMLRequest',
          'LogoutRequest',
          `${issuer}<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" SPNameQualifier="${last.spEntityId}">${last.nameId}</saml:NameID><samlp:SessionIndex>${last.sessionIndex}</samlp:SessionIndex>`,
          null,
        );
    res.writeHead(303, { location }).end();
  }

  function answer(request: string, { sub, email, name }: Account): Promise<string> {
    const find = (pattern: RegExp) => pattern.exec(request)![1]!;
    const acsUrl = find(/ AssertionConsumerServiceURL="([^"]+)"/);
    last = { nameId: sub, sessionIndex: `_${crypto.randomUUID()}`, spEntityId: find(/<saml:Issuer>([^<]+)</) };
    const options = {
      issuer: origin,
      audience: last.spEntityId,
      recipient: acsUrl,
      destination: acsUrl,
      inResponseTo: find(/ ID="([^"]+)"/),
      cert: certificate,
      key,
      signatureAlgorithm: 'rsa-sha256',
      digestAlgorithm: 'sha256',
      nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      sessionIndex: last.sessionIndex,
    };
    const user = { id: sub, emails: [{ value: email }], displayName: name, name: { givenName: name } };
    return new Promise((resolve, reject) => {
      samlp.getSamlResponse(options, user, (error, response) => (error ? reject(error) : resolve(String(response))));
    });
  }

  const side: SamlSide = {
    metadata,
    sloUrl: '',
    async handle(at, _req, res) {
      if (at.pathname === '/saml/metadata') {
        res.setHeader('content-type', 'application/samlmetadata+xml');
        res.end(metadata);
        return;
      }
      res.setHeader('content-type', 'text/html; charset=utf-8');
      if (at.pathname === '/saml/sign-out') {
        signOut(at, res);
        return;
      }
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
  return side;
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
