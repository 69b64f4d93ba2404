import { recordAudit } from '#src/audit/index.ts';
import { type Clock, isId, newId, type TenantId } from '#src/kernel/index.ts';
import type { ControlDatabase } from '#src/tenants/index.ts';
import { mailErrors } from './errors.ts';
import type { LetterBox, SealedLetter } from './letter-box.ts';
import { writeLetter } from './letters.ts';
import { parseMailOrder } from './order.ts';
import { deleteUnsent, findMail, insertMail, type MailRow, requeueMail, selectMail } from './sql.ts';
import type { MailId, MailMessage, MailOrder, MailState, MailSummary, MailTenant } from './types.ts';

/** A message that has not left by then never does. RFC 5321, 4.5.4.1: "at least 4-5 days". */
export const giveUpAfterMs = 5 * 86_400_000;
/**
 * Of one kind. No tenant needs more; a gateway that somebody else has taken must not become a source of spam. More links for new passwords, so that whoever
 * keeps asking for them does not keep the others from theirs (identity limits them per account).
 */
const perTenantAndHour = 500;
const resetsPerTenantAndHour = 20_000;
const pageSize = 50;

export interface QueueOptions {
  /** Something that is committed later on the same server takes it to the disk, and nobody is told of it before. Default: false. */
  readonly isLazy?: boolean;
}

export interface Outbox {
  /** Writes the message and keeps or queues it. Throws FH_MAIL_REFUSED, FH_MAIL_LIMITED. `order` may come from a gateway: it is checked here. */
  queue(tenantId: TenantId, order: unknown, options?: QueueOptions): Promise<MailId>;
  list(query?: {
    state?: MailState | undefined;
    before?: string | undefined;
    limit?: number | undefined;
  }): Promise<{ mail: MailSummary[]; nextBefore: MailId | undefined }>;
  /** One message with its text. That somebody read it is recorded first. */
  read(mailId: string, actor: string): Promise<MailMessage>;
  /** Sends what was kept, held or given up. Throws FH_MAIL_NOT_SENDABLE. */
  sendAgain(mailId: string, actor: string): Promise<MailSummary>;
  /** Removes what was not sent of this kind: its link leads nowhere any more. */
  withdraw(tenantId: TenantId, kind: MailOrder['kind']): Promise<void>;
}

export function createOutbox(deps: {
  readonly db: ControlDatabase;
  readonly letters: LetterBox;
  readonly tenantOf: (tenantId: TenantId) => Promise<MailTenant>;
  /** There is a mail server. */
  readonly isConfigured: boolean;
  readonly onQueued: () => void;
  readonly clock: Clock;
}): Outbox {
  const { db, letters, tenantOf, isConfigured, onQueued, clock } = deps;
  const now = () => new Date(clock.now());

  async function getRow(mailId: string): Promise<MailRow> {
    const row = isId('mai', mailId) ? await findMail(db, mailId) : undefined;
    if (!row) throw mailErrors.FH_MAIL_NOT_FOUND();
    return row;
  }

  function summarise(row: MailRow, letter: SealedLetter | undefined): MailSummary {
    const { mailId, tenantId, tenantName, kind, state, createdAt, attempts } = row;
    return {
      ...{ mailId, tenantId, tenantName, kind, state, createdAt, attempts },
      to: letter?.to,
      subject: letter?.subject,
      nextAttemptAt: row.nextAttemptAt ?? undefined,
      sentAt: row.sentAt ?? undefined,
      problem: row.problem ?? undefined,
      maySend:
        isConfigured &&
        letter !== undefined &&
        (state === 'kept' || state === 'failed' || state === 'held') &&
        row.expiresAt > now(),
    };
  }

  return {
    async queue(tenantId, given, options) {
      const order = parseMailOrder(given);
      const tenant = await tenantOf(tenantId);
      const letter = writeLetter(order, tenant);
      const mailId = newId('mai');
      const createdAt = now();
      const expiresAt = new Date(createdAt.getTime() + giveUpAfterMs);
      const linkEndsAt = 'expiresAt' in order ? new Date(order.expiresAt) : expiresAt;
      const inserted = await insertMail(
        db,
        {
          mailId,
          tenantId,
          tenantName: tenant.name,
          kind: order.kind,
          state: isConfigured ? 'queued' : 'kept',
          sealed: await letters.seal(tenantId, mailId, letter),
          createdAt,
          expiresAt: linkEndsAt < expiresAt ? linkEndsAt : expiresAt,
        },
        order.kind === 'password_reset' ? resetsPerTenantAndHour : perTenantAndHour,
        options,
      );
      if (!inserted) throw mailErrors.FH_MAIL_LIMITED({ retryAfterSeconds: 3_600 });
      if (isConfigured) onQueued();
      return mailId;
    },

    async list({ state, before, limit = pageSize } = {}) {
      if (before !== undefined && !isId('mai', before)) throw mailErrors.FH_MAIL_NOT_FOUND();
      const rows = await selectMail(db, { state, before, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      const mail: MailSummary[] = [];
      // One that does not open must not hide the others; `read` says why.
      for (const row of shown) mail.push(summarise(row, await letters.open(row).catch(() => undefined)));
      return { mail, nextBefore: rows.length > limit ? shown.at(-1)?.mailId : undefined };
    },

    async read(mailId, actor) {
      const row = await getRow(mailId);
      await recordAudit(db, {
        name: 'mail.read',
        actor,
        subject: row.mailId,
        tenantId: row.tenantId,
        details: { kind: row.kind, state: row.state },
      });
      const letter = await letters.open(row);
      const secret = letter?.secret;
      // Without a mail server the console is the only way to the link; with one, a link belongs to its recipient alone.
      const isMasked = secret !== undefined && isConfigured;
      const text = secret !== undefined && isMasked ? letter?.text?.replaceAll(secret, '…') : letter?.text;
      return { ...summarise(row, letter), text, isMasked };
    },

    async sendAgain(mailId, actor) {
      const row = await getRow(mailId);
      if (!isConfigured)
        throw mailErrors.FH_MAIL_NOT_SENDABLE({
          detail: 'there is no mail server',
          hint: 'Set FREEHOLD_SMTP_URL and FREEHOLD_MAIL_FROM, and start Freehold again.',
        });
      await db.transaction(async (tx) => {
        if (!(await requeueMail(tx, row.mailId, now())))
          throw mailErrors.FH_MAIL_NOT_SENDABLE({
            detail: 'it is on its way or sent, its time is over, or its tenant is called differently by now',
            hint: 'Let the user ask again, or invite again.',
          });
        await recordAudit(tx, {
          name: 'mail.sent_again',
          actor,
          subject: row.mailId,
          tenantId: row.tenantId,
          details: { kind: row.kind },
        });
      });
      onQueued();
      const queued = await getRow(mailId);
      return summarise(queued, await letters.open(queued));
    },

    withdraw: (tenantId, kind) => deleteUnsent(db, tenantId, kind),
  };
}
