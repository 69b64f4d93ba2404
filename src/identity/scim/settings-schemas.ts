import { shownProperties } from '../schemas.ts';
import { scimTokenLimits } from './scim-settings.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const object = <P extends Record<string, object>>(properties: P, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;
const date = { type: 'string', format: 'date-time' } as const;
const nullableDate = { type: ['string', 'null'], format: 'date-time' } as const;
const nullableText = { type: ['string', 'null'] } as const;
const groupRole = { type: ['string', 'null'], enum: ['admin', 'member', null] } as const;

export const settingsBodies = {
  createToken: object(
    {
      name: text(1000),
      days: { type: 'integer', minimum: 1, maximum: scimTokenLimits.maxDays },
      ...shownProperties,
    },
    ['name', 'password'],
  ),
  groupRole: object({ role: groupRole }, ['role']),
};

const token = object(
  {
    tokenId: text(40),
    name: text(100),
    createdBy: text(40),
    createdByName: nullableText,
    byOwner: { type: 'boolean' },
    createdAt: date,
    expiresAt: date,
    expired: { type: 'boolean' },
    lastUsedAt: nullableDate,
    lastUsedRange: nullableText,
    lastUsedAgent: nullableText,
  },
  ['tokenId', 'name', 'byOwner', 'createdAt', 'expiresAt', 'expired'],
);
const group = object(
  {
    groupId: text(40),
    displayName: text(1000),
    externalId: nullableText,
    role: groupRole,
    createdAt: date,
    changedAt: date,
    memberCount: { type: 'integer' },
  },
  ['groupId', 'displayName', 'role', 'memberCount'],
);

export const settingsAnswers = {
  settings: object(
    { baseUrl: text(2000), tokens: { type: 'array', items: token }, groups: { type: 'array', items: group } },
    ['baseUrl', 'tokens', 'groups'],
  ),
  /** The only answer that holds the token itself. */
  newToken: object({ tokenId: text(40), token: text(40) }, ['tokenId', 'token']),
};
