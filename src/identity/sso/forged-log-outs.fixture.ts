/** For tests: log-out messages that must end no session. The numbers are those of the catalogue in ../saml/catalogue.fixture.ts. */
import { deflateRawSync } from 'node:zlib';
import { systemClock } from '#src/kernel/index.ts';
import { signQuery } from '#src/keys/index.ts';
import { algorithms, base64, changed, idpEntityId, keyInfoOf, signXml } from '../saml/idp.fixture.ts';
import type { LogoutMessage, RefusalCode } from '../saml/index.ts';
import { inRedirect, logOutRequest, logOutResponse, posted, redirected } from './log-out-messages.fixture.ts';
import type { SamlProvider } from './saml-provider.fixture.ts';
import { nameIdFormats } from './saml-setup.ts';

export interface ForgedLogOut {
  readonly name: string;
  readonly received: LogoutMessage;
  readonly reason: RefusalCode;
}

export function forgedLogOuts({
  idp,
  nameId,
  sloUrl,
  foreignSloUrl,
}: {
  readonly idp: SamlProvider;
  readonly nameId: string;
  readonly sloUrl: string;
  readonly foreignSloUrl: string;
}): readonly ForgedLogOut[] {
  const { signer, stranger } = idp;
  const genuine = () => logOutRequest({ destination: sloUrl, nameId });
  const at = (ms: number) => new Date(systemClock.now() + ms).toISOString();
  const minutes = 60_000;
  /** Altered before it is signed: the provider itself would have said it. */
  const said = (alter: (xml: string) => string) => {
    const xml = genuine();
    return posted(changed(xml, alter(xml)), signer);
  };
  const saidByRedirect = (alter: (xml: string) => string) => {
    const xml = genuine();
    return redirected(inRedirect(changed(xml, alter(xml)), signer));
  };
  /** Altered after it was signed. */
  const tampered = (alter: (xml: string) => string): LogoutMessage => {
    const signed = signXml(genuine(), { signer, element: 'LogoutRequest' });
    return { binding: 'post', message: base64(changed(signed, alter(signed))) };
  };
  const signedWith = (signing: object): LogoutMessage => ({
    binding: 'post',
    message: base64(signXml(genuine(), { signer, element: 'LogoutRequest', ...signing })),
  });
  const query = (alter: (query: string) => string, relayState?: string) => {
    const signed = inRedirect(genuine(), signer, relayState === undefined ? {} : { relayState });
    return redirected(changed(signed, alter(signed)));
  };
  const rawQuery = (deflated: Buffer) => {
    const unsigned = `SAMLRequest=${encodeURIComponent(deflated.toString('base64'))}&SigAlg=${encodeURIComponent(algorithms.rsaSha256)}`;
    const key = signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return redirected(`${unsigned}&Signature=${encodeURIComponent(signQuery(key, unsigned))}`);
  };
  /** A genuine message for nobody, with the forged one around it, in it, or beside it. */
  const wrapped = (wrap: (harmless: string, evil: string) => string): LogoutMessage => {
    const harmless = signXml(logOutRequest({ destination: sloUrl, nameId: 'nobody' }), {
      signer,
      element: 'LogoutRequest',
    });
    return { binding: 'post', message: base64(wrap(harmless, genuine())) };
  };
  const signatureOf = (xml: string) => /<ds:Signature .*<\/ds:Signature>/s.exec(xml)![0];
  const afterIssuer = (xml: string, more: string) => xml.replace('</saml:Issuer>', () => `</saml:Issuer>${more}`);
  const nested = (depth: number) => `${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`;

  const cases: [string, LogoutMessage, RefusalCode][] = [
    // Signature: 23 to 42, 110.
    ['no signature, form', posted(genuine(), undefined), 'unsigned'],
    ['no signature, redirect', query((q) => q.replace(/&SigAlg=.*/, '')), 'unsigned'],
    ['a stripped signature', tampered((xml) => xml.replace(/<ds:Signature .*<\/ds:Signature>/s, '')), 'unsigned'],
    ['Signature taken away, SigAlg kept', query((q) => q.replace(/&Signature=.*/, '')), 'unsigned'],
    ['a stranger’s key, form', posted(genuine(), stranger), 'signature_invalid'],
    ['a stranger’s key, redirect', redirected(inRedirect(genuine(), stranger)), 'signature_invalid'],
    [
      'a stranger’s key with our certificate in KeyInfo',
      signedWith({ signer: stranger, keyInfo: keyInfoOf(signer.certificate) }),
      'signature_invalid',
    ],
    ['SHA-1', signedWith({ signature: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }), 'signature_algorithm'],
    ['an SHA-1 digest', signedWith({ digest: algorithms.sha1 }), 'signature_algorithm'],
    ['HMAC with the certificate', signedWith({ signature: algorithms.hmacSha256 }), 'signature_algorithm'],
    ['SigAlg changed to HMAC', query((q) => q.replace('rsa-sha256', 'hmac-sha256')), 'signature_algorithm'],
    ['a reference to everything', signedWith({ isEmptyUri: true }), 'signature_structure'],
    [
      'canonical form with comments',
      signedWith({ canonicalization: algorithms.exclusiveWithComments }),
      'signature_algorithm',
    ],
    ['the name changed after signing', tampered((xml) => xml.replace(nameId, `${nameId}0`)), 'signature_invalid'],
    [
      'the index taken away',
      tampered((xml) => xml.replace(/<samlp:SessionIndex>.*<\/samlp:SessionIndex>/, '')),
      'signature_invalid',
    ],
    // Wrapping: 01 to 20.
    [
      'the signature of another message',
      wrapped((harmless, evil) => afterIssuer(evil, signatureOf(harmless))),
      'signature_structure',
    ],
    [
      'a signed message inside',
      wrapped((harmless, evil) => evil.replace('</samlp:LogoutRequest>', `${harmless}</samlp:LogoutRequest>`)),
      'structure',
    ],
    [
      'a signed message in its signature’s Object',
      wrapped((harmless, evil) =>
        afterIssuer(
          evil,
          signatureOf(harmless).replace('</ds:Signature>', `<ds:Object>${harmless}</ds:Object></ds:Signature>`),
        ),
      ),
      'signature_structure',
    ],
    ['two messages', wrapped((harmless, evil) => harmless + evil), 'malformed'],
    [
      'the same ID, without its own signature',
      wrapped((harmless, evil) =>
        evil
          .replace(/ ID="[^"]+"/, () => / ID="[^"]+"/.exec(harmless)![0])
          .replace('</saml:Issuer>', () => `</saml:Issuer>${signatureOf(harmless)}`),
      ),
      'signature_invalid',
    ],
    [
      'a second name',
      said((xml) => xml.replace('<saml:NameID', '<saml:NameID>nobody</saml:NameID><saml:NameID')),
      'structure',
    ],
    [
      'a name of another namespace',
      said((xml) => xml.replace('<saml:NameID', '<x:NameID xmlns:x="urn:x">nobody</x:NameID><saml:NameID')),
      'structure',
    ],
    ['extensions', said((xml) => xml.replace('<saml:NameID', '<samlp:Extensions/><saml:NameID')), 'structure'],
    // Parser: 45 to 64.
    [
      'a comment in the name',
      saidByRedirect((xml) => xml.replace(nameId, `${nameId.slice(0, 3)}<!-- -->${nameId.slice(3)}`)),
      'forbidden_markup',
    ],
    ['CDATA', saidByRedirect((xml) => xml.replace(nameId, `<![CDATA[${nameId}]]>`)), 'forbidden_markup'],
    ['a processing instruction', saidByRedirect((xml) => xml.replace(nameId, `<?x?>${nameId}`)), 'forbidden_markup'],
    [
      'an external entity',
      {
        binding: 'post',
        message: base64(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${genuine().replace(nameId, '&e;')}`),
      },
      'doctype',
    ],
    [
      'an entity over the network',
      rawQuery(deflateRawSync(`<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">${genuine()}`)),
      'doctype',
    ],
    [
      'a billion laughs',
      rawQuery(deflateRawSync(`<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>${genuine()}`)),
      'doctype',
    ],
    ['a deflate bomb', rawQuery(deflateRawSync(Buffer.alloc(20_000_000, ' '))), 'too_large'],
    ['too large a form', { binding: 'post', message: 'A'.repeat(400_000) }, 'too_large'],
    ['too deep', { binding: 'post', message: base64(nested(10_000)) }, 'too_complex'],
    ['no base64', { binding: 'post', message: '<xml/>' }, 'not_base64'],
    ['no XML', { binding: 'post', message: base64('hello') }, 'malformed'],
    [
      'UTF-16',
      { binding: 'post', message: Buffer.from(`\uFEFF${genuine()}`, 'utf16le').toString('base64') },
      'not_utf8',
    ],
    ['not deflated', rawQuery(Buffer.from(genuine())), 'not_base64'],
    // What it says: 65 to 94.
    ['another destination', said((xml) => xml.replace(sloUrl, 'https://other.example/slo')), 'destination'],
    ['another tenant’s', said((xml) => xml.replace(sloUrl, foreignSloUrl)), 'destination'],
    [
      'another tenant’s, redirect',
      redirected(inRedirect(logOutRequest({ destination: foreignSloUrl, nameId }), signer)),
      'destination',
    ],
    ['no destination', said((xml) => xml.replace(/ Destination="[^"]+"/, '')), 'destination'],
    ['a destination with more', said((xml) => xml.replace(sloUrl, `${sloUrl}/`)), 'destination'],
    ['another issuer', said((xml) => xml.replace(`>${idpEntityId}<`, '>https://other.example<')), 'issuer'],
    ['no issuer', redirected(inRedirect(genuine().replace(/<saml:Issuer>.*<\/saml:Issuer>/, ''), signer)), 'issuer'],
    ['version 1.1', said((xml) => xml.replace('Version="2.0"', 'Version="1.1"')), 'version'],
    ['it is over', said((xml) => xml.replace(/NotOnOrAfter="[^"]+"/, `NotOnOrAfter="${at(-2 * minutes)}"`)), 'expired'],
    [
      'an old one',
      said((xml) => xml.replace(/IssueInstant="[^"]+"/, `IssueInstant="${at(-60 * minutes)}"`)),
      'expired',
    ],
    [
      'one of tomorrow',
      said((xml) => xml.replace(/IssueInstant="[^"]+"/, `IssueInstant="${at(1440 * minutes)}"`)),
      'not_yet_valid',
    ],
    ['a time that is none', said((xml) => xml.replace(/NotOnOrAfter="[^"]+"/, 'NotOnOrAfter="never"')), 'time'],
    ['nobody', said((xml) => xml.replace(/<saml:NameID .*<\/saml:NameID>/, '')), 'name_id'],
    ['an empty name', said((xml) => xml.replace(`>${nameId}<`, '><')), 'name_id'],
    ['another format', said((xml) => xml.replace(nameIdFormats.persistent, nameIdFormats.email)), 'name_id_format'],
    ['no format', said((xml) => xml.replace(` Format="${nameIdFormats.persistent}"`, '')), 'name_id_format'],
    [
      'another namespace of names',
      said((xml) => xml.replace('<saml:NameID ', '<saml:NameID NameQualifier="https://other.example" ')),
      'name_id',
    ],
    [
      'names of another service',
      said((xml) => xml.replace('<saml:NameID ', '<saml:NameID SPNameQualifier="https://other.example" ')),
      'name_id',
    ],
    [
      'an encrypted name',
      said((xml) => xml.replace(/<saml:NameID .*<\/saml:NameID>/, '<saml:EncryptedID/>')),
      'structure',
    ],
    ['an empty index', said((xml) => xml.replace('>_s0001<', '><')), 'structure'],
    ['an answer in place of a request', posted(logOutResponse(sloUrl, '_none'), signer), 'not_saml'],
    // Parameters: 64, 106, 112.
    ['RelayState put in', query((q) => q.replace('&SigAlg', '&RelayState=//evil.example&SigAlg')), 'signature_invalid'],
    [
      'RelayState changed',
      query((q) => q.replace('RelayState=abc', 'RelayState=javascript:alert(1)'), 'abc'),
      'signature_invalid',
    ],
    ['RelayState taken away', query((q) => q.replace('RelayState=abc&', ''), 'abc'), 'signature_invalid'],
    ['a RelayState without end', posted(genuine(), signer, 'x'.repeat(5_000)), 'too_large'],
    ['every parameter twice', query((q) => `${q}&${q}`), 'structure'],
    ['a second message beside it', query((q) => `${q}&SAMLResponse=AAAA`), 'not_saml'],
    ['another encoding', query((q) => `${q}&SAMLEncoding=none`), 'not_saml'],
    ['percent signs that are none', query((q) => q.replace('SAMLRequest=', 'SAMLRequest=%zz')), 'signature_invalid'],
  ];
  return cases.map(([name, received, reason]) => ({ name, received, reason }));
}
