import { recordTenantAudit } from '#src/audit/index.ts';
import type { Log, TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { acceptPasskey } from '../passkeys/passkey-sql.ts';
import type { ProvenPasskey } from '../passkeys/types.ts';
import { hashRecoveryCode, parseRecoveryCode } from './recovery-codes.ts';
import { countRecoveryCodes, findTotp, spendRecoveryCode, spendTotpStep } from './second-factor-sql.ts';
import { findTotpStep, parseTotpCode } from './totp.ts';

/** 32 bytes: `TenantAccess.factorsKey`. May throw when the tenant is closed. */
export type FactorsKeyOf = (tenantId: TenantId) => Uint8Array | Promise<Uint8Array>;

/** Seals the secrets of users' apps, each for one user of one tenant. */
export interface FactorSecrets {
  seal(tenantId: TenantId, userId: string, secret: Uint8Array): Promise<Buffer>;
  /** Undefined: it was sealed by another installation, for somebody else, or is damaged. */
  open(tenantId: TenantId, userId: string, sealed: Uint8Array): Promise<Buffer | undefined>;
}

export function createFactorSecrets(factorsKeyOf: FactorsKeyOf, log: Log): FactorSecrets {
  const contextOf = (tenantId: TenantId, userId: string) => `${tenantId} totp ${userId}`;
  const sealerOf = async (tenantId: TenantId) => createSealer(await factorsKeyOf(tenantId));
  return {
    seal: async (tenantId, userId, secret) => (await sealerOf(tenantId)).seal(secret, contextOf(tenantId, userId)),
    async open(tenantId, userId, sealed) {
      const sealer = await sealerOf(tenantId);
      try {
        return sealer.open(sealed, contextOf(tenantId, userId));
      } catch (error) {
        log.error("the secret of a user's app does not open; recovery codes and a reset by an administrator are left", {
          tenantId,
          userId,
          error,
        });
        return undefined;
      }
    },
  };
}

/**
 * Uses up what somebody shows as their second factor, in the caller's transaction, which has taken `lockUser`: rolled back, it was not used.
 * Undefined: it is not good.
 */
export type RedeemFactor = (
  db: Queryable,
  tenantId: TenantId,
  userId: string,
  shown: { readonly code?: string | undefined; readonly passkey?: ProvenPasskey | undefined },
) => Promise<'totp' | 'recovery_code' | 'passkey' | undefined>;

export function createRedeemFactor(secrets: FactorSecrets): RedeemFactor {
  async function isTotp(db: Queryable, tenantId: TenantId, userId: string, digits: string): Promise<boolean> {
    const factor = await findTotp(db, userId);
    if (!factor?.confirmedAt) return false;
    const secret = await secrets.open(tenantId, userId, factor.sealedSecret);
    const step = secret && findTotpStep(secret, digits, factor);
    return step !== undefined && spendTotpStep(db, userId, step);
  }

  async function isRecoveryCode(db: Queryable, userId: string, parsed: string): Promise<boolean> {
    if (!(await spendRecoveryCode(db, userId, hashRecoveryCode(userId, parsed)))) return false;
    await recordTenantAudit(db, {
      name: 'user.recovery_code_used',
      actor: `user:${userId}`,
      subject: userId,
      details: { left: await countRecoveryCodes(db, userId) },
    });
    return true;
  }

  return async (db, tenantId, userId, { code, passkey }) => {
    if (passkey) return passkey.userId === userId && (await acceptPasskey(db, passkey)) ? 'passkey' : undefined;
    if (code === undefined) return undefined;
    const digits = parseTotpCode(code);
    if (digits !== undefined) return (await isTotp(db, tenantId, userId, digits)) ? 'totp' : undefined;
    const parsed = parseRecoveryCode(code);
    return parsed !== undefined && (await isRecoveryCode(db, userId, parsed)) ? 'recovery_code' : undefined;
  };
}
