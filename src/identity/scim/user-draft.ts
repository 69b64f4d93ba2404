import { nameFromEmail } from '../users/email.ts';
import { enterpriseSchema, unusedUserAttributes, userAttributes, userSchema } from './attributes.ts';
import { scimErrors } from './errors.ts';
import { type Filter, matches, type PatchPath, parseBoolean, parsePatchPath } from './filter.ts';
import { type Body, isObject, type PatchOperation, parseMessage, parseText, parseValues } from './message.ts';

export interface DraftEmail {
  value: string | undefined;
  type: string | undefined;
  primary: boolean;
}

/** What a user is to be, while a message is read. */
export interface UserDraft {
  userName: string | undefined;
  externalId: string | undefined;
  givenName: string | undefined;
  familyName: string | undefined;
  /** What people see; undefined: made of the other two. */
  displayName: string | undefined;
  emails: DraftEmail[];
  active: boolean;
}

const vocabulary = { attributes: userAttributes, schema: userSchema };
const maxEmails = 20;

/** A whole user, for POST and PUT: what is not in it is unset, but whether the user is active stays. */
export function parseUser(body: unknown, active = true): UserDraft {
  const draft: UserDraft = {
    userName: undefined,
    externalId: undefined,
    givenName: undefined,
    familyName: undefined,
    displayName: undefined,
    emails: [],
    active,
  };
  setAll(draft, 'replace', parseMessage(body, userSchema));
  return draft;
}

/** Changes the draft as RFC 7644, 3.5.2, says, and as Entra ID and Okta mean it. */
export function applyUserPatch(draft: UserDraft, operations: readonly PatchOperation[]): void {
  const composed = composeName(draft);
  for (const { op, path, value } of operations) {
    if (path !== undefined) setAt(draft, op, path, value);
    else if (isObject(value)) setAll(draft, op, value);
    else throw scimErrors.FH_SCIM_SYNTAX({ detail: 'Without a path the value is an object.' });
  }
  // Who was called after the two names goes on to be.
  if (draft.displayName !== undefined && draft.displayName === composed)
    draft.displayName = composeName(draft) ?? draft.displayName;
}

export function composeName({ givenName, familyName }: UserDraft): string | undefined {
  return [givenName, familyName].filter(Boolean).join(' ') || undefined;
}

/** The name that people see: always one. */
export function nameOf(draft: UserDraft, email: string): string {
  return draft.displayName ?? composeName(draft) ?? nameFromEmail(email);
}

/** The address of the account: the primary one, the one at work, the first; without any, the userName. */
export function emailOf({ emails, userName }: UserDraft): string | undefined {
  const known = emails.filter(({ value }) => value !== undefined);
  const chosen =
    known.find(({ primary }) => primary) ?? known.find(({ type }) => type?.toLowerCase() === 'work') ?? known[0];
  return chosen?.value ?? userName;
}

/** The keys of an object without a path. What only the server says is passed over, as RFC 7644, 3.5.1, wants. */
function setAll(draft: UserDraft, op: PatchOperation['op'], value: Body): void {
  for (const [key, one] of Object.entries(value)) {
    const name = key.toLowerCase();
    if (['schemas', 'id', 'meta', 'groups', 'password'].includes(name) || name === enterpriseSchema.toLowerCase())
      continue;
    // Also `name.givenName` and `emails[type eq "work"].value` as a key.
    setAt(draft, op, key, one);
  }
}

function setAt(draft: UserDraft, op: PatchOperation['op'], text: string, value: unknown): void {
  if (text.toLowerCase().startsWith(enterpriseSchema.toLowerCase())) return;
  const path = pathOf(text);
  if ('unknown' in path) {
    if (path.unknown === 'password' || unusedUserAttributes.has(path.unknown)) return;
    throw scimErrors.FH_SCIM_PATH({ detail: `There is no attribute "${text.slice(0, 100)}".` });
  }
  set(draft, op, path, op === 'remove' ? undefined : value);
}

function pathOf(text: string): ReturnType<typeof parsePatchPath> {
  try {
    return parsePatchPath(text, vocabulary);
  } catch (error) {
    throw scimErrors.FH_SCIM_PATH({ detail: (error as { detail?: string }).detail ?? '', cause: error });
  }
}

function set(draft: UserDraft, op: PatchOperation['op'], path: PatchPath, value: unknown): void {
  switch (path.attribute.name) {
    case 'userName':
      draft.userName = parseText(value, 'userName');
      if (draft.userName === undefined) throw scimErrors.FH_SCIM_VALUE({ detail: 'A user has a userName.' });
      return;
    case 'externalId':
      draft.externalId = parseText(value, 'externalId');
      return;
    case 'displayName':
      draft.displayName = parseText(value, 'displayName') ?? composeName(draft);
      return;
    case 'active':
      draft.active = parseActive(value);
      return;
    case 'name':
      setName(draft, path, op, value);
      return;
    case 'emails':
      setEmails(draft, op, path, value);
      return;
    default:
      throw scimErrors.FH_SCIM_MUTABILITY({ detail: `"${path.attribute.name}" is the server's.` });
  }
}

/** Entra ID sends `"True"` and `"False"` unless it was told not to. */
function parseActive(value: unknown): boolean {
  const read = typeof value === 'string' ? parseBoolean(value) : value;
  if (typeof read !== 'boolean') throw scimErrors.FH_SCIM_VALUE({ detail: '"active" is true or false.' });
  return read;
}

function setName(draft: UserDraft, { sub }: PatchPath, op: PatchOperation['op'], value: unknown): void {
  if (sub) {
    setNamePart(draft, sub.name.toLowerCase(), value);
    return;
  }
  const parts = value === null || value === undefined ? {} : value;
  if (!isObject(parts)) throw scimErrors.FH_SCIM_VALUE({ detail: '"name" is an object.' });
  if (op !== 'add') {
    draft.givenName = undefined;
    draft.familyName = undefined;
  }
  for (const [key, one] of Object.entries(parts)) setNamePart(draft, key.toLowerCase(), one);
}

function setNamePart(draft: UserDraft, part: string, value: unknown): void {
  const text = parseText(value, `name.${part}`);
  if (part === 'givenname') draft.givenName = text;
  else if (part === 'familyname') draft.familyName = text;
  // A display name of its own counts more.
  else if (part === 'formatted') draft.displayName ??= text;
  else if (!['middlename', 'honorificprefix', 'honorificsuffix'].includes(part))
    throw scimErrors.FH_SCIM_PATH({ detail: `There is no attribute "name.${part.slice(0, 100)}".` });
}

function setEmails(draft: UserDraft, op: PatchOperation['op'], { sub, values }: PatchPath, value: unknown): void {
  if (!values) {
    if (op === 'remove') draft.emails = [];
    else if (sub) setEmailPart(onlyEmail(draft), sub.name, value);
    else {
      const given = parseValues(value, 'emails').map(parseEmailValue);
      if (given.some(({ primary }) => primary)) for (const one of draft.emails) one.primary = false;
      draft.emails = op === 'add' ? [...draft.emails, ...given] : given;
    }
  } else {
    const chosen = draft.emails.filter((one) => matches(values, one as unknown as Body));
    if (op === 'remove' && !sub) draft.emails = draft.emails.filter((one) => !chosen.includes(one));
    else {
      if (chosen.length === 0 && op !== 'remove') chosen.push(newEmail(draft, values));
      for (const one of chosen) {
        if (sub) setEmailPart(one, sub.name, value);
        else
          for (const given of parseValues(value, 'emails')) Object.assign(one, parseEmailValue({ ...one, ...given }));
      }
    }
  }
  if (draft.emails.length > maxEmails) throw scimErrors.FH_SCIM_TOO_MANY({ detail: `At most ${maxEmails} addresses.` });
}

function onlyEmail(draft: UserDraft): DraftEmail {
  if (draft.emails.length === 0) draft.emails.push({ value: undefined, type: 'work', primary: true });
  return draft.emails[0]!;
}

/** What `emails[type eq "work"]` describes, where there is none: added, as clients expect. */
function newEmail(draft: UserDraft, values: Filter): DraftEmail {
  if (values.kind !== 'compare' || values.operator !== 'eq')
    throw scimErrors.FH_SCIM_NO_TARGET({ detail: 'No e-mail address is of this kind.' });
  const made: DraftEmail = { value: undefined, type: undefined, primary: false };
  setEmailPart(made, values.path.attribute.name, values.value);
  draft.emails.push(made);
  return made;
}

function parseEmailValue(value: Body): DraftEmail {
  const made: DraftEmail = { value: undefined, type: undefined, primary: false };
  for (const part of ['value', 'type', 'primary'] as const)
    if (value[part] !== undefined) setEmailPart(made, part, value[part]);
  return made;
}

function setEmailPart(email: DraftEmail, part: string, value: unknown): void {
  if (part === 'primary') email.primary = value === undefined || value === null ? false : parseActive(value);
  else if (part === 'type') email.type = parseText(value, 'emails.type');
  else email.value = parseText(value, 'emails.value');
}
