/** For tests: a SAML identity provider at the time of this machine, which answers what it is asked, altered as a case wants. */
import { inflateRawSync } from 'node:zlib';
import { systemClock } from '#src/kernel/index.ts';
import {
  acsUrl,
  attacker,
  base64,
  createSigner,
  genuineResponse,
  idpEntityId,
  keyInfoOf,
  type Mode,
  nowMs,
  protect,
  requestId,
  type Signer,
  spEntityId,
} from '../saml/idp.fixture.ts';
import { nameIdFormats } from './saml-setup.ts';

export interface SamlPerson {
  readonly nameId: string;
  readonly nameIdFormat?: string;
  readonly nameQualifier?: string;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly authnContext?: string;
}

export interface AnswerOptions {
  readonly mode?: Mode;
  /** The text before anything is signed. */
  readonly alter?: (xml: string) => string;
  readonly signer?: Signer;
  /** Certificate, PEM. */
  readonly encryptTo?: string;
}

export interface SamlAnswer {
  readonly samlResponse: string;
  readonly relayState: string;
}

let serial = 0;

export class SamlProvider {
  readonly entityId = idpEntityId;
  readonly signer: Signer;
  readonly stranger: Signer;

  private constructor(signer: Signer, stranger: Signer) {
    this.signer = signer;
    this.stranger = stranger;
  }

  static async start(): Promise<SamlProvider> {
    // The fixture of the engine lives at a fixed time.
    const sinceThen = systemClock.now() - nowMs;
    const dates = { from: sinceThen - 86_400_000, until: sinceThen + 86_400_000 };
    return new SamlProvider(await createSigner(2048, dates), await createSigner(2048, dates));
  }

  metadata({
    entityId = this.entityId,
    signer = this.signer,
    validUntil,
    slo = true,
  }: {
    entityId?: string;
    signer?: Signer;
    validUntil?: string;
    slo?: boolean;
  } = {}): string {
    return (
      `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="${entityId}"${validUntil ? ` validUntil="${validUntil}"` : ''}>` +
      '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">' +
      `<md:KeyDescriptor use="signing"><ds:KeyInfo>${keyInfoOf(signer.certificate)}</ds:KeyInfo></md:KeyDescriptor>` +
      (slo
        ? '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.org/slo" ResponseLocation="https://idp.example.org/slo/done"/>'
        : '') +
      '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.org/sso"/>' +
      '</md:IDPSSODescriptor></md:EntityDescriptor>'
    );
  }

  /** `url`: where the browser was sent to. */
  answer(url: string, person: SamlPerson, options: AnswerOptions = {}): SamlAnswer {
    const asked = readRequest(url);
    const number = ++serial;
    const sinceThen = systemClock.now() - nowMs;
    const xml = genuineResponse()
      .replaceAll(acsUrl, asked.acsUrl)
      .replaceAll(spEntityId, asked.spEntityId)
      .replaceAll(requestId, asked.id)
      .replaceAll('_r0001', `_r${number}`)
      .replaceAll('_a0001', `_a${number}`)
      .replace(
        /"(\d{4}-\d\d-\d\dT[\d:.]+Z)"/g,
        (_, time) => `"${new Date(Date.parse(time) + sinceThen).toISOString()}"`,
      )
      .replace(nameIdFormats.persistent, person.nameIdFormat ?? nameIdFormats.persistent)
      .replace(
        `>${attacker}<`,
        `${person.nameQualifier ? ` NameQualifier="${person.nameQualifier}"` : ''}>${person.nameId}<`,
      )
      .replace(/(<saml:AuthnContextClassRef>)[^<]+/, (found, tag) =>
        person.authnContext ? `${tag}${person.authnContext}` : found,
      )
      .replace(
        /<saml:AttributeStatement>.*<\/saml:AttributeStatement>/,
        () => `<saml:AttributeStatement>${attributesOf(person)}</saml:AttributeStatement>`,
      );
    const { mode = 'A', alter = (same) => same, signer = this.signer, encryptTo } = options;
    const altered = alter(xml);
    const receiver = { ...this.stranger, certificate: encryptTo ?? this.stranger.certificate };
    const samlResponse = base64(protect(altered, mode, { signer, stranger: this.stranger, receiver }));
    return { samlResponse, relayState: asked.relayState };
  }
}

/** What our AuthnRequest says. */
export function readRequest(url: string) {
  const query = new URL(url).searchParams;
  const xml = inflateRawSync(Buffer.from(query.get('SAMLRequest')!, 'base64')).toString('utf8');
  const find = (pattern: RegExp) => pattern.exec(xml)![1]!;
  return {
    xml,
    relayState: query.get('RelayState')!,
    isSigned: query.has('Signature'),
    id: find(/ ID="([^"]+)"/),
    acsUrl: find(/ AssertionConsumerServiceURL="([^"]+)"/),
    spEntityId: find(/<saml:Issuer>([^<]+)</),
  };
}

function attributesOf({ attributes }: SamlPerson): string {
  return Object.entries(attributes)
    .map(
      ([name, values]) =>
        `<saml:Attribute Name="${name}">${values.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
    )
    .join('');
}

/** Somebody whom no test had before. */
export function newSamlPerson(more: Partial<SamlPerson> & { email?: string } = {}): SamlPerson & { email: string } {
  const number = ++serial;
  const { email = `saml${number}@people.example`, ...rest } = more;
  return {
    nameId: `name-${number}`,
    email,
    attributes: { email: [email], displayName: [`Person ${number}`] },
    ...rest,
  };
}
