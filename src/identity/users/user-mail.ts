import { type Clock, type FreeholdError, type Log, retry, type TenantId } from '#src/kernel/index.ts';
import type { MailOrder, QueueMail } from '#src/mail/types.ts';

/** Messages to users, off the path of the request that causes them. */
export interface UserMail {
  /** Orders the message and returns at once. Control may be away for a moment, so it is tried for about a minute; lost with this process. */
  send(tenantId: TenantId, order: MailOrder): void;
  /** Waits for what is being ordered. */
  settle(): Promise<void>;
}

const trials = { attempts: 8, firstDelayMs: 500, maxDelayMs: 15_000 };
/** A program that signs in anew each time is a new browser each time: its user is told once an hour by each worker. */
const sameNoticeEveryMs = 3_600_000;
const maxRemembered = 10_000;

export function createUserMail(queueMail: QueueMail, { clock, log }: { clock: Clock; log: Log }): UserMail {
  const running = new Set<Promise<void>>();
  const toldAtMs = new Map<string, number>();

  function isTold(tenantId: TenantId, { kind, to }: MailOrder): boolean {
    if (kind !== 'new_sign_in') return false;
    const whom = `${tenantId} ${to}`;
    const nowMs = clock.monotonicMs();
    if (nowMs - (toldAtMs.get(whom) ?? Number.NEGATIVE_INFINITY) < sameNoticeEveryMs) return true;
    if (toldAtMs.size >= maxRemembered) toldAtMs.clear();
    toldAtMs.set(whom, nowMs);
    return false;
  }

  async function order(tenantId: TenantId, mail: MailOrder): Promise<void> {
    // What control refuses it refuses again.
    const isRetryable = (error: unknown) => !/^FH_(MAIL_|INVALID_REQUEST)/.test((error as FreeholdError).code ?? '');
    await retry({ ...trials, isRetryable }, () => queueMail(tenantId, mail)).catch((error) =>
      log.warn('a user is not told by mail', { tenantId, kind: mail.kind, error }),
    );
  }

  return {
    send(tenantId, mail) {
      if (isTold(tenantId, mail)) return;
      const ordering = order(tenantId, mail).finally(() => running.delete(ordering));
      running.add(ordering);
    },
    async settle() {
      await Promise.all(running);
    },
  };
}
