import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TenantDatabases } from '#src/databases/types.ts';
import { createFirstInvitation, stripClone } from '#src/identity/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { KeyStore } from '#src/keys/index.ts';
import {
  createDelivery,
  createLetterBox,
  createMailSender,
  createOutbox,
  deleteOldMail,
  holdAllMail,
  type Outbox,
  type SmtpServer,
} from '#src/mail/index.ts';
import type { ControlDatabase, TenantLifecycle } from '#src/tenants/index.ts';
import type { Folders } from './folders.ts';
import type { Jobs } from './jobs.ts';
import type { Shutdown } from './shutdown.ts';

const keptDays = 30;
const dayMs = 86_400_000;

export interface MailServices {
  readonly outbox: Outbox;
  /** There is a mail server. */
  readonly isConfigured: boolean;
  /** Why messages cannot be sent just now. */
  trouble(): string | undefined;
  /** Begins to send and to tidy. */
  start(): Promise<void>;
}

/** The outbox of all tenants, and what sends it. */
export function createMailServices(deps: {
  readonly smtp: SmtpServer | undefined;
  readonly folders: Folders;
  readonly db: ControlDatabase;
  readonly keys: Pick<KeyStore, 'deriveTenantKey'>;
  readonly lifecycle: Pick<TenantLifecycle, 'getTenant'>;
  readonly tenantUrl: (name: string) => string;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): MailServices {
  const { smtp, folders, db, keys, lifecycle, tenantUrl, jobs, clock, log, shutdown } = deps;
  const letters = createLetterBox((tenantId) => keys.deriveTenantKey(tenantId, 'mail'));
  const sender = smtp && createMailSender({ db, letters, deliver: createDelivery(smtp), clock, log });
  const outbox = createOutbox({
    db,
    letters,
    tenantOf: async (tenantId) => {
      const { name, title } = await lifecycle.getTenant(tenantId);
      return { name, title, url: tenantUrl(name) };
    },
    isConfigured: smtp !== undefined,
    onQueued: () => sender?.wake(),
    clock,
  });
  return {
    outbox,
    isConfigured: smtp !== undefined,
    trouble: () => sender?.trouble(),
    async start() {
      const marker = restoredMarker(folders);
      if (existsSync(marker)) {
        const held = await holdAllMail(db, 'The installation was restored since it was written.');
        if (held > 0) log.warn('messages of before the restore are held; the console shows them', { messages: held });
        rmSync(marker);
      }
      jobs.add({
        name: 'removal of old mail',
        everyMs: dayMs,
        firstAfterMs: 5 * 60_000,
        retryAfterMs: 3_600_000,
        overdueAfterMs: 3 * dayMs,
        run: async () => void (await deleteOldMail(db, new Date(clock.now() - keptDays * dayMs))),
      });
      if (!sender) return;
      sender.start();
      shutdown.add('mail', 10_000, () => sender.stop());
    },
  };
}

/** Written by `recover`: whatever was on its way then has been sent, or is stale. */
export function restoredMarker(folders: Pick<Folders, 'control'>): string {
  return join(folders.control, 'restored');
}

/** Identity as the lifecycle of tenants needs it; the first administrator's link goes by mail as well. */
export function createFirstInvitations(
  databases: TenantDatabases,
  outbox: Pick<Outbox, 'queue' | 'withdraw'>,
  log: Log,
): {
  createInvitation(
    tenantId: TenantId,
    invitee: { email: string; role: 'owner' },
  ): Promise<{ token: string; expiresAt: Date }>;
  stripClone(tenantId: TenantId): Promise<void>;
} {
  async function mail(tenantId: TenantId, order: { readonly kind: 'invitation' } & Record<string, string>) {
    // A step that is repeated makes a new link, and the one before is dead.
    await outbox.withdraw(tenantId, order.kind);
    // The step that follows is committed later, and the tenant is not active before that.
    await outbox.queue(tenantId, order, { isLazy: true });
  }
  return {
    async createInvitation(tenantId, invitee) {
      const made = await databases.platform.transact(tenantId, (db) => createFirstInvitation(db, invitee));
      const { token, expiresAt } = made;
      // It waits until the tenant is active. Whoever creates the tenant is shown the link too, so this may fail.
      await mail(tenantId, {
        kind: 'invitation',
        to: invitee.email,
        token,
        expiresAt: expiresAt.toISOString(),
      }).catch((error) => log.warn('an invitation is not mailed', { tenantId, error }));
      return made;
    },
    stripClone: (tenantId) => databases.platform.transact(tenantId, stripClone),
  };
}
