import type { PlantedLeak } from './types.ts';

const groups = ['second-factors'] as const;

export const secondFactorLeaks: readonly PlantedLeak[] = [
  {
    name: "secrets of users' apps are remembered by user id",
    threat: "a code of one tenant's user is good for the user with the same id at another",
    edits: [
      {
        file: 'src/identity/second-factors/redeem.ts',
        find: 'const secret = await secrets.open(tenantId, userId, factor.sealedSecret);',
        replace:
          'const secret = kept.get(userId) ?? (await secrets.open(tenantId, userId, factor.sealedSecret));\n    if (secret) kept.set(userId, secret);',
      },
      {
        file: 'src/identity/second-factors/redeem.ts',
        find: 'export function createRedeemFactor(secrets: FactorSecrets): RedeemFactor {',
        replace:
          'const kept = new Map<string, Buffer>();\nexport function createRedeemFactor(secrets: FactorSecrets): RedeemFactor {',
      },
    ],
    groups,
  },
  {
    name: 'a code is good as long as it is shown',
    threat: 'who looks over a shoulder signs in with the same code',
    edits: [
      {
        file: 'src/identity/second-factors/second-factor-sql.ts',
        find: 'WHERE user_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2 RETURNING user_id`,',
        replace: 'WHERE user_id = $1 AND confirmed_at IS NOT NULL RETURNING user_id`,',
      },
      {
        file: 'src/identity/second-factors/totp.ts',
        find: 'if (matches && step > lastStep)',
        replace: 'if (matches && lastStep >= 0)',
      },
    ],
    groups,
  },
  {
    name: 'the password is enough',
    threat: 'a second factor that is never asked for',
    edits: [
      {
        file: 'src/identity/sign-in/sign-in.ts',
        find: 'if (await hasSecondFactor(db, user.userId))',
        replace: 'if (!(await hasSecondFactor(db, user.userId)) && known === undefined)',
      },
    ],
    groups,
  },
  {
    name: 'who is presumed need not have a second factor',
    threat: "the tenant's policy counts some time later",
    edits: [
      {
        file: 'src/gateway/unconfirmed-session.ts',
        find: 'requireFactor(session, this.#request);',
        replace: '',
      },
    ],
    groups,
  },
  {
    name: 'check_session does not look at the policy',
    threat: 'a policy that asks nobody',
    edits: [
      {
        file: 'migrations/tenant/0010_single_sign_on.sql',
        find: "\n        WHERE p.required_of OPERATOR(pg_catalog.=) 'everyone'",
        replace: "\n        WHERE p.required_of OPERATOR(pg_catalog.=) 'nobody'",
      },
    ],
    groups,
  },
  {
    name: 'host and origin of a passkey are those of the request',
    threat: 'what was signed for one tenant, or for any site at all, signs in at another',
    edits: [
      {
        file: 'src/identity/passkeys/ceremony.ts',
        find: 'expectedOrigin: origin,\n      expectedRPID: rpId,\n      requireUserVerification: true,\n      // As if',
        replace:
          "expectedOrigin: JSON.parse(Buffer.from(answer.response.clientDataJSON, 'base64url').toString()).origin ?? origin,\n      expectedRPID: [rpId, new URL(JSON.parse(Buffer.from(answer.response.clientDataJSON, 'base64url').toString()).origin).hostname],\n      requireUserVerification: true,\n      // As if",
      },
    ],
    groups: ['passkeys'],
  },
  {
    name: 'the challenge of a passkey is not used up',
    threat: 'who records an answer signs in with it again',
    edits: [
      {
        file: 'src/identity/passkeys/passkey-sql.ts',
        find: 'DELETE FROM freehold.passkey_challenges WHERE challenge_hash = $1 AND bound_to = $2 AND purpose = $3',
        replace:
          'UPDATE freehold.passkey_challenges SET purpose = purpose WHERE challenge_hash = $1 AND bound_to = $2 AND purpose = $3',
      },
    ],
    groups: ['passkeys'],
  },
  {
    name: 'the challenge of a passkey is for any browser',
    threat: 'an answer that was stolen on its way signs in somebody else',
    edits: [
      {
        file: 'src/identity/passkeys/passkey-sql.ts',
        find: 'DELETE FROM freehold.passkey_challenges WHERE challenge_hash = $1 AND bound_to = $2 AND purpose = $3',
        replace:
          'DELETE FROM freehold.passkey_challenges WHERE challenge_hash = $1 AND bound_to IS NOT DISTINCT FROM coalesce(bound_to, $2) AND purpose = $3',
      },
    ],
    groups: ['passkeys'],
  },
  {
    name: 'a passkey is looked up without the state of its user',
    threat: 'somebody who was disabled signs in with what was not removed',
    edits: [
      {
        file: 'src/identity/passkeys/passkey-sql.ts',
        find: "AND u.user_id = k.user_id AND u.state = 'active'",
        replace: 'AND u.user_id = k.user_id',
      },
    ],
    groups: ['passkeys'],
  },
];
