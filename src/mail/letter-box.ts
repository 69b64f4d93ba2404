import type { TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { MailRow } from './sql.ts';
import type { Letter, MailId } from './types.ts';

/** What is left of a letter when it is sent. */
export type SealedLetter = Pick<Letter, 'to' | 'subject'> & Partial<Letter>;

export interface LetterBox {
  seal(tenantId: TenantId, mailId: MailId, letter: SealedLetter): Promise<Buffer>;
  /** Undefined: the tenant's key is destroyed. */
  open(row: Pick<MailRow, 'tenantId' | 'mailId' | 'sealed'>): Promise<SealedLetter | undefined>;
}

/** Letters under their tenant's key, each for its own row: one that is moved to another row or tenant does not open. */
export function createLetterBox(keyOf: (tenantId: TenantId) => Promise<Uint8Array>): LetterBox {
  const contextOf = (tenantId: TenantId, mailId: MailId) => `mail ${tenantId} ${mailId}`;
  return {
    async seal(tenantId, mailId, letter) {
      const sealer = createSealer(await keyOf(tenantId));
      return sealer.seal(Buffer.from(JSON.stringify(letter)), contextOf(tenantId, mailId));
    },
    async open({ tenantId, mailId, sealed }) {
      const key = await keyOf(tenantId).catch((error: { code?: string }) => {
        if (error.code === 'FH_KEY_DESTROYED') return undefined;
        throw error;
      });
      if (!key) return undefined;
      return JSON.parse(createSealer(key).open(sealed, contextOf(tenantId, mailId)).toString()) as SealedLetter;
    },
  };
}
