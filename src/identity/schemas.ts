import { auditEvents, exportFormats } from '#src/audit/index.ts';
import { requiredOfs } from './second-factors/second-factor-policy.ts';
import { apiTokenLimits } from './tokens/api-tokens.ts';
import { roles, tokenScopes } from './types.ts';

/** JSON schemas of the routes. Bounds are generous where the use case gives a better message than a schema can. */
const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const object = <P extends Record<string, object>>(properties: P, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;

const date = { type: 'string', format: 'date-time' } as const;
const nullableDate = { type: ['string', 'null'], format: 'date-time' } as const;
const nullableText = { type: ['string', 'null'] } as const;
const role = { type: 'string', enum: roles } as const;
const email = text(254);
/** More than a password may have, so that a long one is refused by the rules, in words. */
const password = text(2_000_000);

const sessionUser = object({ userId: text(40), email: text(254), name: text(100), role }, [
  'userId',
  'email',
  'name',
  'role',
]);
const user = object(
  {
    ...sessionUser.properties,
    state: { type: 'string', enum: ['active', 'disabled'] },
    createdAt: date,
    lastSignInAt: nullableDate,
  },
  ['userId', 'email', 'name', 'role', 'state', 'createdAt'],
);
const openInvitation = object({ email, name: nullableText, role, invitedBy: nullableText, expiresAt: date }, [
  'email',
  'role',
  'expiresAt',
]);
const invitation = object({ ...openInvitation.properties, invitationId: text(40), createdAt: date, url: text(2000) }, [
  'invitationId',
  'email',
  'role',
  'createdAt',
  'expiresAt',
]);

const base64url = (maxLength: number) => ({ ...text(maxLength), pattern: '^[A-Za-z0-9_-]+$' }) as const;
/** What a browser answers; it may say more than we read. */
const credential = <P extends Record<string, object>>(response: P, required: readonly string[]) =>
  ({
    type: 'object',
    properties: {
      id: base64url(1_400),
      rawId: base64url(1_400),
      type: { type: 'string', enum: ['public-key'] },
      response: { type: 'object', properties: response, required, additionalProperties: true },
    },
    required: ['id', 'rawId', 'type', 'response'],
    additionalProperties: true,
  }) as const;
const clientDataJSON = base64url(4_000);
const assertion = credential(
  {
    clientDataJSON,
    authenticatorData: base64url(4_000),
    signature: base64url(4_000),
    userHandle: { type: ['string', 'null'], maxLength: 100 },
  },
  ['clientDataJSON', 'authenticatorData', 'signature'],
);
const attestation = credential(
  {
    clientDataJSON,
    attestationObject: base64url(20_000),
    transports: { type: 'array', maxItems: 20, items: text(40) },
  },
  ['clientDataJSON', 'attestationObject'],
);

/** `Shown` as a body brings it: beside what an act takes of its own. */
export const shownProperties = { password, code: text(200), passkey: assertion } as const;

export const params = {
  token: object({ token: text(200) }, ['token']),
  id: object({ id: { ...text(60), pattern: '^[A-Za-z0-9_-]+$' } }, ['id']),
};

export const bodies = {
  signIn: object({ email: text(1000), password }, ['email', 'password']),
  code: object({ code: text(200) }, ['code']),
  /** One of the two. */
  factor: { ...object({ code: text(200), passkey: assertion }, []), minProperties: 1, maxProperties: 1 },
  /** What `confirmSelf` asks of whoever it is. */
  confirmation: object(shownProperties, ['password']),
  passkey: object({ name: text(1000), passkey: attestation }, ['name', 'passkey']),
  passkeySignIn: object({ passkey: assertion }, ['passkey']),
  secondFactorPolicy: object({ requiredOf: { type: 'string', enum: requiredOfs }, ...shownProperties }, [
    'requiredOf',
    'password',
  ]),
  acceptInvitation: object({ name: text(1000), password }, ['password']),
  invite: object({ email: text(1000), name: text(1000), role }, ['email', 'role']),
  /** One change at a time: each is an act with an event of its own. */
  changeUser: {
    ...object({ role, state: user.properties.state }, []),
    minProperties: 1,
    maxProperties: 1,
  },
  changePassword: object(
    { currentPassword: password, newPassword: password, code: shownProperties.code, passkey: shownProperties.passkey },
    ['currentPassword', 'newPassword'],
  ),
  profile: object({ name: text(1000) }, ['name']),
  createApiToken: object(
    {
      name: text(1000),
      scope: { type: 'string', enum: tokenScopes },
      days: { type: 'integer', minimum: 1, maximum: apiTokenLimits.maxDays },
      ...shownProperties,
    },
    ['name', 'scope', 'password'],
  ),
  passwordCheck: object({ password, email: text(1000), name: text(1000) }, ['password']),
};

const logFilter = {
  event: { type: 'string', enum: Object.keys(auditEvents) },
  person: { type: 'string', pattern: '^usr_[0-9a-z]{26}$' },
  from: date,
  to: date,
} as const;

export const queries = {
  securityLogExport: object({ ...logFilter, format: { type: 'string', enum: exportFormats } }, ['format']),
  signOutEverywhere: object({ tokens: { type: 'string', enum: ['keep', 'revoke'] } }, []),
  securityLog: object(
    {
      ...logFilter,
      before: { type: 'string', pattern: '^[1-9][0-9]{0,17}$' },
      limit: { type: 'integer', minimum: 1, maximum: 200 },
    },
    [],
  ),
};

const list = (items: object) => ({ type: 'array', items }) as const;

export const answers = {
  session: object(
    {
      user: sessionUser,
      session: object({ sessionId: text(40), createdAt: date, expiresAt: date, mustEnrol: { type: 'boolean' } }, [
        'sessionId',
      ]),
    },
    ['user', 'session'],
  ),
  /** The password was right, and a second factor is awaited in this browser. */
  awaitedSignIn: object({ secondFactor: object({ expiresAt: date }, ['expiresAt']) }, ['secondFactor']),
  /** Null: no sign-in waits in this browser. `app`, `passkeys`: what would complete it, beside a recovery code. */
  awaited: object({ expiresAt: nullableDate, app: { type: 'boolean' }, passkeys: { type: 'boolean' } }, [
    'expiresAt',
    'app',
    'passkeys',
  ]),
  /** As Web Authentication writes them in JSON: for `parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON`. */
  passkeyOptions: { type: 'object', additionalProperties: true },
  /** `enrolledAt` null: no app is set up. */
  secondFactor: object(
    {
      enrolledAt: nullableDate,
      recoveryCodesLeft: { type: 'integer' },
      passkeys: list(
        object(
          {
            passkeyId: text(40),
            name: text(100),
            createdAt: date,
            lastUsedAt: nullableDate,
            isBackedUp: { type: 'boolean' },
            host: text(253),
          },
          ['passkeyId', 'name', 'createdAt', 'lastUsedAt', 'isBackedUp', 'host'],
        ),
      ),
    },
    ['enrolledAt', 'recoveryCodesLeft', 'passkeys'],
  ),
  /** `enrolled`: ids of the users who have a second factor. */
  secondFactorPolicy: object({ requiredOf: { type: 'string', enum: requiredOfs }, enrolled: list(text(40)) }, [
    'requiredOf',
    'enrolled',
  ]),
  totp: object({ secret: text(40), uri: text(2000) }, ['secret', 'uri']),
  /** Empty: there was a factor already, and its codes are good as before. */
  recoveryCodes: object({ recoveryCodes: list(text(40)) }, ['recoveryCodes']),
  sessions: object(
    {
      sessions: list(
        object(
          {
            sessionId: text(40),
            createdAt: date,
            lastUsedAt: date,
            expiresAt: date,
            address: nullableText,
            userAgent: nullableText,
            current: { type: 'boolean' },
          },
          ['sessionId', 'current'],
        ),
      ),
    },
    ['sessions'],
  ),
  /** Nulls: it ended in an ordinary way, goes on, or never was. */
  sessionEnd: object({ reason: nullableText, endedAt: nullableDate }, ['reason', 'endedAt']),
  sessionNotices: object(
    {
      notices: list(
        object(
          {
            sessionId: text(40),
            reason: text(40),
            endedAt: date,
            userAgent: nullableText,
            address: nullableText,
          },
          ['sessionId', 'reason', 'endedAt'],
        ),
      ),
    },
    ['notices'],
  ),
  openInvitation,
  invitation,
  invitations: object({ invitations: list(invitation) }, ['invitations']),
  user,
  users: object({ users: list(user) }, ['users']),
  securityLog: object(
    {
      events: list(
        object(
          {
            eventId: text(40),
            recordedAt: date,
            name: text(100),
            meaning: text(500),
            actor: text(500),
            actorName: nullableText,
            subject: text(500),
            subjectName: nullableText,
            address: nullableText,
            details: { type: 'object', additionalProperties: true },
          },
          ['eventId', 'recordedAt', 'name'],
        ),
      ),
      nextBefore: nullableText,
    },
    ['events'],
  ),
  apiTokens: object(
    {
      tokens: list(
        object(
          {
            tokenId: text(40),
            userId: text(40),
            userName: text(100),
            name: text(100),
            scope: { type: 'string', enum: tokenScopes },
            createdAt: date,
            expiresAt: date,
            expired: { type: 'boolean' },
            lastUsedAt: nullableDate,
            lastUsedRange: nullableText,
            lastUsedAgent: nullableText,
          },
          ['tokenId', 'userId', 'userName', 'name', 'scope', 'createdAt', 'expiresAt', 'expired'],
        ),
      ),
    },
    ['tokens'],
  ),
  /** The only answer that holds the token itself. */
  newApiToken: object({ tokenId: text(40), token: text(40) }, ['tokenId', 'token']),
  passwordVerdict: object(
    {
      accepted: { type: 'boolean' },
      score: { type: 'integer', minimum: 0, maximum: 4 },
      problems: list(object({ rule: text(40), text: text(500), fix: text(500) }, ['rule', 'text', 'fix'])),
    },
    ['accepted', 'score', 'problems'],
  ),
};
