import { checkIssuer } from './message.ts';
import { bearer, nameIdFormats, unspecifiedFormat } from './names.ts';
import { refuse } from './refused.ts';
import { checkIssueInstant, checkNotBefore, checkNotOnOrAfter, parseInstant, type TimeRules } from './times.ts';
import type { Assertion, ExpectedResponse } from './types.ts';
import { childrenOf, findChild, type XmlElement } from './xml.ts';

const mostNames = 200;
const mostValues = 1_000;
const longestValue = 4_096;

export interface Context {
  readonly expected: ExpectedResponse;
  readonly rules: TimeRules;
  /** InResponseTo of the response around it. */
  readonly answers: string | undefined;
}

/** Judges an assertion that was read from signed bytes (SAML profiles 4.1.4.3). Throws Refused. */
export function judgeAssertion(assertion: XmlElement, { expected, rules, answers }: Context): Assertion {
  if (assertion.attributes.get('Version') !== '2.0') refuse('version');
  checkIssuer(assertion, expected);
  checkIssueInstant(assertion.attributes.get('IssueInstant'), rules);
  const subject = findChild(assertion, 'saml:Subject') ?? refuse('confirmation');
  const confirmation = judgeConfirmation(subject, { expected, rules, answers });
  const conditionsEnd = judgeConditions(assertion, expected, rules);
  const authn = judgeAuthentication(assertion, rules);
  return {
    id: assertion.attributes.get('ID')!,
    issuer: expected.idpEntityId,
    ...readNameId(subject, expected),
    ...authn,
    attributes: readAttributes(assertion),
    inResponseTo: confirmation.inResponseTo,
    notOnOrAfter: new Date(Math.min(confirmation.end, conditionsEnd)),
  };
}

/** One confirmation, bearer, for our address, with an end and without a beginning (profiles 4.1.4.2). */
function judgeConfirmation(subject: XmlElement, { expected, rules, answers }: Context) {
  const confirmation = findChild(subject, 'saml:SubjectConfirmation') ?? refuse('confirmation');
  if (confirmation.attributes.get('Method') !== bearer) refuse('confirmation');
  const data = findChild(confirmation, 'saml:SubjectConfirmationData') ?? refuse('confirmation');
  if (data.attributes.has('NotBefore') || !data.attributes.has('NotOnOrAfter')) refuse('confirmation');
  if (data.attributes.get('Recipient') !== expected.acsUrl) refuse('recipient');
  const end = checkNotOnOrAfter(data.attributes.get('NotOnOrAfter'), rules);
  const inResponseTo = data.attributes.get('InResponseTo');
  if (inResponseTo === undefined && answers === undefined) {
    if (!expected.allowUnsolicited) refuse('unsolicited');
  } else {
    // Of the two, only this one is certain to be signed; they must agree all the same.
    if (inResponseTo === undefined || inResponseTo !== answers) refuse('in_response_to');
    if (!expected.requestIds?.includes(inResponseTo)) refuse('in_response_to');
  }
  return { end, inResponseTo };
}

/** Exactly the conditions that are understood; several audience restrictions must all hold (core 2.5.1.4). */
function judgeConditions(assertion: XmlElement, { spEntityId }: ExpectedResponse, rules: TimeRules): number {
  const conditions = findChild(assertion, 'saml:Conditions') ?? refuse('conditions');
  const notBefore = conditions.attributes.get('NotBefore');
  if (notBefore !== undefined) checkNotBefore(notBefore, rules);
  if (!conditions.attributes.has('NotOnOrAfter')) refuse('conditions');
  const end = checkNotOnOrAfter(conditions.attributes.get('NotOnOrAfter'), rules);
  const restrictions = childrenOf(conditions, 'saml:AudienceRestriction');
  const isForUs = (restriction: XmlElement) => restriction.children.some(({ text }) => text === spEntityId);
  if (spEntityId === '' || restrictions.length === 0 || !restrictions.every(isForUs)) refuse('audience');
  return end;
}

function judgeAuthentication(assertion: XmlElement, rules: TimeRules) {
  const statement = findChild(assertion, 'saml:AuthnStatement') ?? refuse('authn_statement');
  const authnInstant = parseInstant(statement.attributes.get('AuthnInstant'));
  if (authnInstant > rules.nowMs + rules.skewMs) refuse('not_yet_valid');
  const sessionEnd = statement.attributes.get('SessionNotOnOrAfter');
  const sessionNotOnOrAfter = sessionEnd === undefined ? undefined : parseInstant(sessionEnd);
  if (sessionNotOnOrAfter !== undefined && rules.nowMs - rules.skewMs >= sessionNotOnOrAfter) refuse('session_expired');
  const context = findChild(statement, 'saml:AuthnContext')!;
  const sessionIndex = statement.attributes.get('SessionIndex');
  const authnContext = findChild(context, 'saml:AuthnContextClassRef')?.text.trim();
  if (sessionIndex !== undefined && !isPlain(sessionIndex, 256)) refuse('authn_statement');
  if (authnContext !== undefined && !isPlain(authnContext, 256)) refuse('authn_statement');
  return {
    sessionIndex,
    authnContext,
    authnInstant: new Date(authnInstant),
    sessionNotOnOrAfter: sessionNotOnOrAfter === undefined ? undefined : new Date(sessionNotOnOrAfter),
  };
}

function readNameId(subject: XmlElement, expected: ExpectedResponse) {
  const element = findChild(subject, 'saml:NameID') ?? refuse('name_id');
  const nameId = element.text;
  // 256 characters are what persistent names may have (core 8.3.7), and more than an e-mail address can.
  if (!isPlain(nameId, 256)) refuse('name_id');
  const nameIdFormat = element.attributes.get('Format') ?? unspecifiedFormat;
  if (!nameIdFormats.has(nameIdFormat)) refuse('name_id_format');
  if (expected.nameIdFormat !== undefined && nameIdFormat !== expected.nameIdFormat) refuse('name_id_format');
  const nameQualifier = element.attributes.get('NameQualifier');
  const spNameQualifier = element.attributes.get('SPNameQualifier');
  if (nameQualifier !== undefined && !isPlain(nameQualifier, 1_024)) refuse('name_id');
  if (spNameQualifier !== undefined && spNameQualifier !== expected.spEntityId) refuse('name_id');
  return { nameId, nameIdFormat, nameQualifier, spNameQualifier };
}

function readAttributes(assertion: XmlElement): ReadonlyMap<string, readonly string[]> {
  const statement = findChild(assertion, 'saml:AttributeStatement');
  const attributes = new Map<string, string[]>();
  let count = 0;
  for (const attribute of statement?.children ?? []) {
    const name = attribute.attributes.get('Name')!;
    if (!isPlain(name, 512)) refuse('attributes');
    const values = attribute.children.map((value) => (findChild(value, 'saml:NameID') ?? value).text);
    for (const text of values) {
      count += 1;
      if (count > mostValues || text.length > longestValue || /[^\P{Cc}\t\n]/u.test(text)) refuse('attributes');
    }
    // Keycloak sends one Attribute for each role, all with one Name.
    attributes.set(name, [...(attributes.get(name) ?? []), ...values]);
    if (attributes.size > mostNames) refuse('attributes');
  }
  return attributes;
}

/** Not empty, no blanks at the ends, no invisible or control characters (among them those that turn the direction of text). */
export function isPlain(text: string, longest: number): boolean {
  return text !== '' && text.length <= longest && text.trim() === text && !/\p{C}|\p{Zl}|\p{Zp}/u.test(text);
}
