import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEventName } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Log, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type Actor, requireRole } from '../sessions/access.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { changing } from './connections.ts';
import { signOnErrors } from './errors.ts';
import { challengeName, parseDomain } from './mail-domain.ts';
import { deleteDomain, findDomain, insertDomain, markProven, selectDomains } from './people-sql.ts';
import { findConnection } from './sign-on-sql.ts';
import type { MailDomain, ResolveTxt } from './types.ts';

/** For whose mail domains a connection speaks. A domain counts once its tenant has put a record into its DNS that only the tenant was told. */
export interface MailDomains {
  /** Throws FH_DOMAIN_REFUSED, FH_DOMAIN_EXISTS, FH_CONNECTION_NOT_FOUND, and what `confirmSelf` does. */
  addDomain(
    tenantId: TenantId,
    actor: Actor,
    input: { domain: string; connectionId: string },
    shown: Shown,
  ): Promise<MailDomain>;
  /** Looks for the record. Throws FH_DOMAIN_UNPROVEN, which says what was looked for, FH_DOMAIN_NOT_FOUND. */
  proveDomain(tenantId: TenantId, actor: Actor, domain: string): Promise<void>;
  removeDomain(tenantId: TenantId, actor: Actor, domain: string, shown: Shown): Promise<void>;
}

const maxDomains = 100;
const tokenPrefix = 'freehold-domain-proof=';

export function createMailDomains(deps: {
  readonly databases: TenantDatabases;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly resolveTxt: ResolveTxt;
  readonly log: Log;
}): MailDomains {
  const { databases, confirmSelf, resolveTxt, log } = deps;
  const record = (db: Queryable, { session, address }: Actor, name: AuditEventName, domain: string) =>
    recordTenantAudit(db, {
      name,
      actor: `user:${session.user.userId}`,
      subject: domain,
      address,
      details: { domain },
    });

  return {
    addDomain(tenantId, actor, input, shown) {
      const domain = parseDomain(input.domain);
      if (domain === undefined)
        throw signOnErrors.FH_DOMAIN_REFUSED({ fields: { domain: 'Use a domain such as example.com.' } });
      return confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const connection = await findConnection(db, input.connectionId);
        if (!connection) throw signOnErrors.FH_CONNECTION_NOT_FOUND();
        if ((await selectDomains(db)).length >= maxDomains)
          throw signOnErrors.FH_DOMAIN_REFUSED({ detail: `there are ${maxDomains} already` });
        const token = tokenPrefix + randomBytes(20).toString('hex');
        const added = { domain, connectionId: connection.connectionId, token };
        if (!(await insertDomain(db, added))) throw signOnErrors.FH_DOMAIN_EXISTS();
        await record(db, actor, 'domain.added', domain);
        return { ...added, provenAt: null };
      });
    },

    async proveDomain(tenantId, actor, text) {
      const found = await databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, changing.roles);
        return findDomain(db, parseDomain(text) ?? '');
      });
      if (!found) throw signOnErrors.FH_DOMAIN_NOT_FOUND();
      const name = challengeName(found.domain);
      const records = await resolveTxt(name).catch((error) => {
        log.info('a TXT record could not be looked up', { tenantId, name, error });
        return [] as readonly string[];
      });
      if (!records.includes(found.token))
        throw signOnErrors.FH_DOMAIN_UNPROVEN({
          detail: `${name} has ${records.length === 0 ? 'no TXT record' : 'other TXT records'}`,
        });
      await databases.platform.transact(tenantId, async (db) => {
        await requireRole(db, actor, changing.roles);
        if (!(await markProven(db, found.domain, found.token))) throw signOnErrors.FH_DOMAIN_NOT_FOUND();
        if (!found.provenAt) await record(db, actor, 'domain.proven', found.domain);
      });
    },

    removeDomain: (tenantId, actor, text, shown) =>
      confirmSelf(tenantId, actor, shown, changing, async (db) => {
        const domain = parseDomain(text) ?? '';
        if (!(await deleteDomain(db, domain))) throw signOnErrors.FH_DOMAIN_NOT_FOUND();
        await record(db, actor, 'domain.removed', domain);
      }),
  };
}
