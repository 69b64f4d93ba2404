import { recordAudit } from '#src/audit/index.ts';
import {
  findTotpStep,
  hashRecoveryCode,
  newRecoveryCode,
  parseRecoveryCode,
  parseTotpCode,
  recoveryCodeCount,
} from '#src/identity/index.ts';
import type { Log } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import {
  confirmTotp,
  countRecoveryCodes,
  findTotp,
  replaceRecoveryCodes,
  spendRecoveryCode,
  spendTotpStep,
  type TotpRow,
} from './second-factor-sql.ts';

/** Seals and opens secrets of apps, and uses up what members show of them. Each in the caller's transaction, which has taken `lockStaff`. */
export interface StaffFactor {
  seal(staffId: string, secret: Uint8Array): Buffer;
  /** Makes the app count, if the code is its. */
  confirm(db: Queryable, staffId: string, factor: TotpRow, code: string): Promise<boolean>;
  /** Uses up a code of the app or a recovery code; undefined: it is not good. */
  redeem(db: Queryable, staffId: string, code: string): Promise<'totp' | 'recovery_code' | undefined>;
  /** Ten new ones in place of all others. @returns them in the clear, this once */
  renewRecoveryCodes(db: Queryable, staffId: string): Promise<readonly string[]>;
}

/** @param factorsKey 32 bytes of the installation, for this purpose alone */
export function createStaffFactor(factorsKey: Uint8Array, log: Log): StaffFactor {
  const sealer = createSealer(factorsKey);
  const contextOf = (staffId: string) => `console totp ${staffId}`;

  function findStep(staffId: string, factor: TotpRow, code: string): number | undefined {
    const digits = parseTotpCode(code);
    if (digits === undefined) return undefined;
    try {
      return findTotpStep(sealer.open(factor.sealedSecret, contextOf(staffId)), digits, factor);
    } catch (error) {
      log.error(
        'the secret of an app does not open; recovery codes and ./freehold staff reset-second-factor are left',
        {
          staffId,
          error,
        },
      );
      return undefined;
    }
  }

  async function isTotp(db: Queryable, staffId: string, code: string): Promise<boolean> {
    const factor = await findTotp(db, staffId);
    const step = factor?.confirmedAt ? findStep(staffId, factor, code) : undefined;
    return step !== undefined && spendTotpStep(db, staffId, step);
  }

  return {
    seal: (staffId, secret) => sealer.seal(secret, contextOf(staffId)),

    async confirm(db, staffId, factor, code) {
      const step = findStep(staffId, factor, code);
      return step !== undefined && confirmTotp(db, staffId, factor.sealedSecret, step);
    },

    async redeem(db, staffId, code) {
      if (await isTotp(db, staffId, code)) return 'totp';
      const parsed = parseRecoveryCode(code);
      if (parsed === undefined || !(await spendRecoveryCode(db, staffId, hashRecoveryCode(staffId, parsed)))) return;
      await recordAudit(db, {
        name: 'staff.recovery_code_used',
        actor: `staff:${staffId}`,
        subject: staffId,
        details: { left: await countRecoveryCodes(db, staffId) },
      });
      return 'recovery_code';
    },

    async renewRecoveryCodes(db, staffId) {
      const codes = Array.from({ length: recoveryCodeCount }, newRecoveryCode);
      const hashes = codes.map((code) => hashRecoveryCode(staffId, parseRecoveryCode(code)!));
      await replaceRecoveryCodes(db, staffId, hashes);
      return codes;
    },
  };
}
