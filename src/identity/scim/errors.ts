import { defineErrors } from '#src/kernel/index.ts';

export const scimErrors = defineErrors({
  FH_SCIM_TOKEN_REQUIRED: {
    status: 401,
    title: 'This address takes SCIM tokens only',
    hint: 'Send Authorization: Bearer with a token that an administrator made on the account page, under SCIM.',
  },
  FH_SCIM_TOKEN_NOT_FOUND: { status: 404, title: 'There is no such SCIM token' },
  FH_SCIM_TOKEN_LIMIT: {
    status: 409,
    title: 'There are ten SCIM tokens that are good',
    hint: 'Revoke one that is no longer needed.',
  },
  FH_SCIM_NOT_FOUND: { status: 404, title: 'There is no such resource' },
  FH_SCIM_FILTER: {
    status: 400,
    title: 'This filter is not understood',
    hint: 'RFC 7644, 3.4.2.2. The attributes that can be asked for are in /Schemas.',
  },
  FH_SCIM_SYNTAX: { status: 400, title: 'The message is not a SCIM message', hint: 'RFC 7644, 3.3 and 3.5.' },
  FH_SCIM_PATH: { status: 400, title: 'The path of this operation is not understood' },
  FH_SCIM_NO_TARGET: { status: 400, title: 'The path of this operation names nothing that is there' },
  FH_SCIM_VALUE: { status: 400, title: 'A value is missing or not acceptable' },
  FH_SCIM_MUTABILITY: { status: 400, title: 'This attribute cannot be changed' },
  FH_SCIM_TOO_MANY: { status: 400, title: 'This is more than is taken at once' },
  FH_SCIM_UNIQUENESS: { status: 409, title: 'Another user has this userName or e-mail address' },
  FH_SCIM_GROUP_LIMIT: { status: 409, title: 'There are a thousand groups already' },
  FH_SCIM_VERSION: {
    status: 412,
    title: 'The resource is another one by now',
    hint: 'Read it again, and send the version that it has.',
  },
  FH_SCIM_OWNER: {
    status: 403,
    title: 'Provisioning may not do this to an owner',
    hint: 'An account keeps one active owner; owners are disabled only with a token that an owner made, and change their address themselves.',
  },
});

/** `scimType` of RFC 7644, 3.12, by our code. */
export const scimTypes: ReadonlyMap<string, string> = new Map([
  ['FH_SCIM_FILTER', 'invalidFilter'],
  ['FH_SCIM_SYNTAX', 'invalidSyntax'],
  ['FH_INVALID_REQUEST', 'invalidSyntax'],
  ['FH_SCIM_PATH', 'invalidPath'],
  ['FH_SCIM_NO_TARGET', 'noTarget'],
  ['FH_SCIM_VALUE', 'invalidValue'],
  ['FH_EMAIL_REFUSED', 'invalidValue'],
  ['FH_NAME_REFUSED', 'invalidValue'],
  ['FH_SCIM_MUTABILITY', 'mutability'],
  ['FH_SCIM_TOO_MANY', 'tooMany'],
  ['FH_SCIM_UNIQUENESS', 'uniqueness'],
]);
