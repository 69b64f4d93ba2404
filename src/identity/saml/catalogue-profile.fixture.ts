import type { AttackCase } from './catalogue.fixture.ts';
import {
  acsUrl,
  at,
  attacker,
  genuineResponse,
  idpEntityId,
  minute,
  modes,
  protect,
  requestId,
  spEntityId,
  victim,
} from './idp.fixture.ts';
import type { RefusalCode } from './refusals.ts';
import { defaultClockSkewMs } from './times.ts';

/** What a message says, 65 to 97: altered before it is signed, so that every signature is genuine. */

const day = 1440 * minute;

function profile(
  number: string,
  title: string,
  reason: RefusalCode,
  alter: (xml: string) => string,
  rest: Partial<AttackCase> = {},
): AttackCase {
  const altered = () => {
    const xml = alter(genuineResponse());
    if (xml === genuineResponse()) throw new Error(`case ${number} alters nothing`);
    return xml;
  };
  return { number, title, reason, modes, make: (world, mode) => protect(altered(), mode, world), ...rest };
}

/** The first match after a marker. */
const after = (marker: string, from: string | RegExp, to: string) => (xml: string) => {
  const start = xml.indexOf(marker);
  return xml.slice(0, start) + xml.slice(start).replace(from, () => to);
};
const replace = (from: string | RegExp, to: string) => (xml: string) => xml.replace(from, () => to);
const inAssertion = (from: string | RegExp, to: string) => after('<saml:Assertion', from, to);
const inData = (from: string | RegExp, to: string) => after('<saml:SubjectConfirmationData', from, to);
const inConditions = (from: string | RegExp, to: string) => after('<saml:Conditions', from, to);

const conditions = /<saml:Conditions .*<\/saml:Conditions>/;
const confirmation = /<saml:SubjectConfirmation .*<\/saml:SubjectConfirmation>/;
const restriction = `<saml:AudienceRestriction><saml:Audience>${spEntityId}</saml:Audience></saml:AudienceRestriction>`;
const audience = (value: string) => replace(`<saml:Audience>${spEntityId}<`, `<saml:Audience>${value}<`);
const named = (value: string) => replace(`>${attacker}</saml:NameID>`, `>${value}</saml:NameID>`);
const conditionsEnd = (value: string) => inConditions(/NotOnOrAfter="[^"]*"/, `NotOnOrAfter="${value}"`);
const confirmationEnd = (value: string) => inData(/NotOnOrAfter="[^"]*"/, `NotOnOrAfter="${value}"`);
const email = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

const badTimes = [
  '2026-11-22T12:05:00',
  '2026-11-22T12:05:00+00:00',
  '2026-11-22 12:05:00Z',
  '2026-11-22T12:05:60Z',
  '2026-11-22T24:00:00Z',
  '2026-11-31T12:05:00Z',
  '22 Nov 2026 12:05:00 GMT',
  '9999999999999',
  '+002026-11-22T12:05:00Z',
  '2026-11-22T12:05Z',
  '',
];

export const profileCases: readonly AttackCase[] = [
  profile(
    '65',
    'Destination of somebody else',
    'destination',
    replace(`Destination="${acsUrl}"`, 'Destination="https://other.example/acs"'),
  ),
  profile(
    '65b',
    'Destination with another end',
    'destination',
    replace(`Destination="${acsUrl}"`, `Destination="${acsUrl}/"`),
  ),
  profile('65c', 'Destination empty', 'destination', replace(`Destination="${acsUrl}"`, 'Destination=""')),
  profile('66', 'no Destination', 'destination', replace(` Destination="${acsUrl}"`, '')),
  profile(
    '67',
    'Recipient of somebody else',
    'recipient',
    replace(`Recipient="${acsUrl}"`, 'Recipient="https://other.example/acs"'),
  ),
  profile(
    '67b',
    'Recipient in other letters',
    'recipient',
    replace(`Recipient="${acsUrl}"`, `Recipient="${acsUrl.toUpperCase()}"`),
  ),
  profile('68', 'no Recipient', 'recipient', replace(` Recipient="${acsUrl}"`, '')),
  profile('69', 'Audience of somebody else', 'audience', audience('https://other.example')),
  profile('70', 'Audience that begins like ours', 'audience', audience(`${spEntityId}.evil.example`)),
  profile('70b', 'Audience that ends like ours', 'audience', audience(`https://evil.example/?${spEntityId}`)),
  profile('70c', 'Audience in other letters', 'audience', audience(spEntityId.toUpperCase())),
  profile('70d', 'Audience with a blank', 'audience', audience(` ${spEntityId}`)),
  profile('70e', 'Audience shorter than ours', 'audience', audience(spEntityId.slice(0, -1))),
  profile('71', 'no AudienceRestriction', 'audience', replace(restriction, '')),
  profile('71b', 'no Audience', 'audience', replace(restriction, '<saml:AudienceRestriction/>')),
  profile(
    '72',
    'two restrictions, one of them for somebody else',
    'audience',
    replace(restriction, `${restriction}${restriction.replace(spEntityId, 'https://other.example')}`),
  ),
  profile('73', 'no Conditions', 'conditions', replace(conditions, '')),
  profile('73b', 'Conditions without an end', 'conditions', inConditions(/ NotOnOrAfter="[^"]*"/, '')),
  profile('74', 'two Conditions', 'structure', (xml) => xml.replace(conditions, (found) => found + found)),
  profile('75', 'Conditions over', 'expired', conditionsEnd(at(-2 * minute))),
  profile('75b', 'Conditions over, at the edge of the skew', 'expired', conditionsEnd(at(-defaultClockSkewMs))),
  profile('76', 'confirmation over', 'expired', confirmationEnd(at(-2 * minute))),
  profile('76b', 'confirmation over, at the edge of the skew', 'expired', confirmationEnd(at(-defaultClockSkewMs))),
  profile('76c', 'confirmation without an end', 'confirmation', inData(/NotOnOrAfter="[^"]*" /, '')),
  profile(
    '76d',
    'confirmation with a beginning',
    'confirmation',
    inData('NotOnOrAfter=', `NotBefore="${at(-minute)}" NotOnOrAfter=`),
  ),
  profile('77', 'Conditions of tomorrow', 'not_yet_valid', inConditions(/NotBefore="[^"]*"/, `NotBefore="${at(day)}"`)),
  profile(
    '77b',
    'Conditions one millisecond too early',
    'not_yet_valid',
    inConditions(/NotBefore="[^"]*"/, `NotBefore="${at(defaultClockSkewMs + 1)}"`),
  ),
  profile('78', 'no end anywhere', 'confirmation', replace(/ NotOnOrAfter="[^"]*"/g, '')),
  ...badTimes.map((time, index) =>
    profile(`79${String.fromCharCode(97 + index)}`, `an end written as “${time}”`, 'time', conditionsEnd(time)),
  ),
  profile('79x', 'authentication at no time', 'time', replace(/AuthnInstant="[^"]*"/, 'AuthnInstant="yesterday"')),
  profile('79y', 'written at no time', 'time', inAssertion(/IssueInstant="[^"]*"/, 'IssueInstant="now"')),
  profile('80', 'valid for ten years', 'lifetime', (xml) =>
    conditionsEnd(at(3650 * day))(confirmationEnd(at(3650 * day))(xml)),
  ),
  profile('80b', 'valid for two days', 'lifetime', conditionsEnd(at(2 * day))),
  profile(
    '81',
    'assertion written an hour ago',
    'expired',
    inAssertion(/IssueInstant="[^"]*"/, `IssueInstant="${at(-60 * minute)}"`),
  ),
  profile(
    '81b',
    'response written an hour ago',
    'expired',
    replace(/IssueInstant="[^"]*"/, `IssueInstant="${at(-60 * minute)}"`),
  ),
  profile(
    '81c',
    'assertion written tomorrow',
    'not_yet_valid',
    inAssertion(/IssueInstant="[^"]*"/, `IssueInstant="${at(day)}"`),
  ),
  profile(
    '81d',
    'authenticated tomorrow',
    'not_yet_valid',
    replace(/AuthnInstant="[^"]*"/, `AuthnInstant="${at(day)}"`),
  ),
  profile(
    '82',
    'issuer of the assertion is another',
    'issuer',
    inAssertion(`>${idpEntityId}<`, '>https://other.example<'),
  ),
  profile(
    '82b',
    'issuer of the assertion with a blank',
    'issuer',
    inAssertion(`>${idpEntityId}<`, `> ${idpEntityId}<`),
  ),
  profile('83', 'issuer of the response is another', 'issuer', replace(`>${idpEntityId}<`, '>https://other.example<')),
  profile('84', 'the assertion has no issuer', 'issuer', inAssertion(`<saml:Issuer>${idpEntityId}</saml:Issuer>`, ''), {
    modes: ['R', 'ER'],
  }),
  profile('84b', 'the response has no issuer', 'issuer', replace(`<saml:Issuer>${idpEntityId}</saml:Issuer>`, ''), {
    modes: ['A', 'EA'],
  }),
  profile('84c', 'issuer of another format', 'issuer', inAssertion('<saml:Issuer>', `<saml:Issuer Format="${email}">`)),
  profile('85', 'holder of key', 'confirmation', replace('cm:bearer', 'cm:holder-of-key')),
  profile('86', 'sender vouches', 'confirmation', replace('cm:bearer', 'cm:sender-vouches')),
  profile('87', 'no SubjectConfirmation', 'confirmation', replace(confirmation, '')),
  profile('87b', 'no SubjectConfirmationData', 'confirmation', replace(/<saml:SubjectConfirmationData [^>]*>/, '')),
  profile('87c', 'no Subject', 'confirmation', replace(/<saml:Subject>.*<\/saml:Subject>/, '')),
  profile('87d', 'two confirmations, one for somebody else', 'structure', (xml) =>
    xml.replace(confirmation, (found) => found + found.replace(acsUrl, 'https://other.example')),
  ),
  profile('88', 'a failed sign-in with an assertion', 'status', replace('status:Success', 'status:Responder')),
  profile(
    '88b',
    'a success with a failure below it',
    'status',
    replace(
      'status:Success"/>',
      'status:Success"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/></samlp:StatusCode>',
    ),
  ),
  profile('88c', 'no Status', 'status', replace(/<samlp:Status>.*<\/samlp:Status>/, '')),
  profile('89', 'assertion of version 1.1', 'version', inAssertion('Version="2.0"', 'Version="1.1"')),
  profile('89b', 'response of version 1.1', 'version', replace('Version="2.0"', 'Version="1.1"')),
  profile(
    '90',
    'the session is over',
    'session_expired',
    replace(/SessionNotOnOrAfter="[^"]*"/, `SessionNotOnOrAfter="${at(-2 * minute)}"`),
  ),
  profile('90b', 'no AuthnStatement', 'authn_statement', replace(/<saml:AuthnStatement .*<\/saml:AuthnStatement>/, '')),
  profile('90c', 'two AuthnStatements', 'structure', (xml) =>
    xml.replace(/<saml:AuthnStatement .*<\/saml:AuthnStatement>/, (found) => found + found),
  ),
  profile('91', 'empty NameID', 'name_id', named('')),
  profile('91b', 'NameID of blanks', 'name_id', named('   ')),
  profile('91c', 'NameID of 10 kB', 'name_id', named('a'.repeat(10_240))),
  profile('91d', 'NameID with a control character', 'name_id', named('a\u0085b')),
  profile('91e', 'NameID with a blank at its end', 'name_id', named(`${victim} `)),
  profile('91f', 'NameID that turns the direction of text', 'name_id', named('\u202Eelpmaxe.emca@renwo')),
  profile('91g', 'NameID with an invisible character', 'name_id', named(`${victim}\u200B`)),
  profile('91h', 'NameID with a line break', 'name_id', named('a&#10;b')),
  profile('91i', 'no NameID', 'name_id', replace(/<saml:NameID .*?<\/saml:NameID>/, '')),
  profile('91j', 'NameID with an element inside', 'name_id', named(`${attacker}<saml:NameID>${victim}</saml:NameID>`)),
  profile('92', 'two NameIDs', 'structure', (xml) =>
    xml.replace(/<saml:NameID .*?<\/saml:NameID>/, (found) => found + found.replace(attacker, victim)),
  ),
  profile('93', 'NameID of another format than the connection’s', 'name_id_format', replace(persistent, email), {
    expected: (usual) => ({ ...usual, nameIdFormat: persistent }),
  }),
  profile('93b', 'NameID of an unknown format', 'name_id_format', replace(persistent, 'urn:example:admin')),
  profile(
    '93c',
    'NameID for another service',
    'name_id',
    replace('<saml:NameID ', '<saml:NameID SPNameQualifier="https://other.example" '),
  ),
  profile('94', 'OneTimeUse', 'conditions', replace('</saml:Conditions>', '<saml:OneTimeUse/></saml:Conditions>')),
  profile(
    '94b',
    'ProxyRestriction',
    'conditions',
    replace('</saml:Conditions>', '<saml:ProxyRestriction Count="0"/></saml:Conditions>'),
  ),
  profile(
    '94c',
    'a condition of a type of its own',
    'conditions',
    replace(
      '</saml:Conditions>',
      '<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:e="urn:e" xsi:type="e:OnlyOnMondays"/></saml:Conditions>',
    ),
  ),
  profile('95', 'unsolicited', 'unsolicited', replace(new RegExp(` InResponseTo="${requestId}"`, 'g'), '')),
  profile(
    '96',
    'an answer to a request that nobody sent',
    'in_response_to',
    replace(new RegExp(requestId, 'g'), '_unknown'),
  ),
  profile('96b', 'an answer while this browser waits for none', 'in_response_to', replace('groups', 'groups2'), {
    expected: (usual) => ({ ...usual, requestIds: [], allowUnsolicited: true }),
  }),
  profile('97', 'InResponseTo only on the response', 'in_response_to', inData(` InResponseTo="${requestId}"`, ''), {
    expected: (usual) => ({ ...usual, allowUnsolicited: true }),
  }),
  profile('97b', 'InResponseTo only on the assertion', 'in_response_to', replace(` InResponseTo="${requestId}"`, ''), {
    expected: (usual) => ({ ...usual, allowUnsolicited: true }),
  }),
  profile('104', 'a response for another tenant', 'destination', replace(/acme\.localhost/g, 'globex.localhost')),
  profile('122b', 'markup as an attribute’s value', 'attributes', replace('>desk<', '><b xmlns="urn:b">admins</b><')),
  profile(
    '122c',
    'an encrypted attribute',
    'attributes',
    replace('</saml:AttributeStatement>', '<saml:EncryptedAttribute/></saml:AttributeStatement>'),
  ),
  profile('122d', 'two AttributeStatements', 'structure', (xml) =>
    xml.replace(/<saml:AttributeStatement>.*<\/saml:AttributeStatement>/, (found) => found + found),
  ),
];
