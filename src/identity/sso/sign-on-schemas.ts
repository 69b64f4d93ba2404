import { nameIdFormats } from './saml-setup.ts';
import { connectionKinds, factorTrusts } from './types.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const nullable = (maxLength: number) => ({ type: ['string', 'null'], maxLength }) as const;
const list = (items: object, maxItems = 200) => ({ type: 'array', items, maxItems }) as const;
const object = <P extends Record<string, object>>(properties: P, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;

const connectionId = { ...text(60), pattern: '^[A-Za-z0-9_-]+$' } as const;
const shown = { password: text(2_000_000), code: text(200), passkey: { type: 'object', additionalProperties: true } };
const people = {
  createsUsers: { type: 'boolean' },
  trustsEmails: { type: 'boolean' },
  secondFactor: { type: 'string', enum: factorTrusts },
  roleClaim: nullable(1_000),
  adminValues: list(text(1_000)),
} as const;
const provider = {
  clientId: text(1_000),
  clientSecret: text(4_000),
  metadataXml: text(1_100_000),
  metadataUrl: text(2_000),
  sloUrl: text(2_000),
} as const;

export const signOnParams = {
  connection: object({ id: connectionId }, ['id']),
  domain: object({ domain: { ...text(260), pattern: '^[A-Za-z0-9._-]+$' } }, ['domain']),
};

export const signOnBodies = {
  discover: object({ email: text(1_000) }, ['email']),
  start: object({ connectionId, next: text(4_000), email: text(300) }, ['connectionId']),
  oidc: object({ query: text(16_000) }, ['query']),
  /** As much as a form may have at the gateway. */
  saml: object({ samlResponse: text(262_144), relayState: text(100) }, ['samlResponse', 'relayState']),
  /** As it arrived: by a form, or the whole query string, which is what was signed. */
  samlLogOut: object({ samlResponse: text(262_144), relayState: text(100), query: text(16_000) }, []),
  create: object(
    {
      kind: { type: 'string', enum: connectionKinds },
      name: text(1_000),
      issuer: text(2_000),
      nameIdFormat: { type: 'string', enum: Object.keys(nameIdFormats) },
      ...people,
      ...provider,
      ...shown,
    },
    ['kind', 'name'],
  ),
  change: object({ name: text(1_000), renewsKey: { type: 'boolean' }, ...people, ...provider, ...shown }, []),
  state: object({ state: { type: 'string', enum: ['on', 'off'] }, ...shown }, ['state']),
  shown: object(shown, []),
  domain: object({ domain: text(1_000), connectionId, ...shown }, ['domain', 'connectionId']),
  policy: object({ enforced: { type: 'boolean' }, breakGlass: list(text(60)), ...shown }, ['enforced', 'breakGlass']),
};

const date = { type: 'string', format: 'date-time' } as const;
const nullableDate = { type: ['string', 'null'], format: 'date-time' } as const;
const anything = { type: 'object', additionalProperties: true } as const;

export const signOnAnswers = {
  offered: object(
    {
      enforced: { type: 'boolean' },
      connections: list(object({ connectionId, name: text(60) }, ['connectionId', 'name'])),
    },
    ['enforced', 'connections'],
  ),
  discovered: object({ connectionId: nullable(60) }, ['connectionId']),
  started: object({ url: text(20_000) }, ['url']),
  /** One of three: signed in, the second step follows, or a test is over. */
  finished: object({ next: nullable(4_000), secondFactor: { type: 'boolean' }, tested: nullable(60) }, [
    'next',
    'secondFactor',
    'tested',
  ]),
  /** A page of ours, or the provider's address with our request. */
  left: object({ next: text(20_000) }, ['next']),
  loggedOut: object({ organisation: text(60), succeeded: { type: 'boolean' } }, ['organisation', 'succeeded']),
  created: object({ connectionId }, ['connectionId']),
  domain: object({ domain: text(253), connectionId, recordName: text(300), token: text(100), provenAt: nullableDate }, [
    'domain',
    'recordName',
    'token',
  ]),
  settings: object(
    {
      connections: list(
        object(
          {
            connectionId,
            kind: { type: 'string', enum: connectionKinds },
            name: text(60),
            state: { type: 'string', enum: ['on', 'off'] },
            hasSecret: { type: 'boolean' },
            settings: anything,
            lastTest: { ...anything, type: ['object', 'null'] },
            changedAt: date,
          },
          ['connectionId', 'kind', 'name', 'state', 'hasSecret', 'settings', 'lastTest'],
        ),
      ),
      domains: list(
        object({ domain: text(253), connectionId, recordName: text(300), token: text(100), provenAt: nullableDate }, [
          'domain',
          'connectionId',
          'recordName',
          'token',
          'provenAt',
        ]),
      ),
      enforced: { type: 'boolean' },
      breakGlass: list(text(60)),
      /** What the provider has to be told. */
      addresses: object({ redirectUri: text(500), entityId: text(500), acsUrl: text(500) }, [
        'redirectUri',
        'entityId',
        'acsUrl',
      ]),
    },
    ['connections', 'domains', 'enforced', 'breakGlass', 'addresses'],
  ),
};
