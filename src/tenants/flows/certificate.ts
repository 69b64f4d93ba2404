import { newId } from '#src/kernel/index.ts';
import { createDocumentSigner, type JsonDocument } from '#src/keys/index.ts';
import type { Step, StepContext } from '../flow.ts';
import { findCertificate, insertCertificate, selectLivingCopies } from '../operations-sql.ts';
import { type FlowDeps, heldUntilOf, nowOf } from './steps.ts';

interface Destroyed {
  readonly key: { readonly destroyed: boolean; readonly dueAt?: string; readonly at?: string };
  readonly [what: string]: JsonDocument;
}

/**
 * Says what was destroyed and what expires when, signed with the installation's key. While the key is kept for the grace period it says so, and until
 * when; `completionStep` issues another one when the key is destroyed.
 */
export function certificateStep(deps: FlowDeps): Step {
  return {
    name: 'certificate',
    async run(context) {
      const { operation, tenantId, memo, remember, setResult } = context;
      const certificateId = typeof memo.certificateId === 'string' ? memo.certificateId : newId('crt');
      await remember({ certificateId });
      const count = (name: string) => Number(memo[name] ?? 0);
      const { keyDueAt: dueAt, title } = operation.input as { keyDueAt?: string; title: string };
      const isKept = dueAt !== undefined && (await deps.keys.hasTenantKey(tenantId));
      const key = isKept ? { destroyed: false, dueAt } : { destroyed: !(await deps.keys.hasTenantKey(tenantId)) };
      const issued = await sign(deps, context, key, {
        certificateId,
        tenant: { tenantId, name: operation.tenantName, title: String(title) },
        requestedBy: operation.requestedBy,
        requestedAt: operation.startedAt.toISOString(),
        destroyed: {
          database: {
            bytes: count('databaseBytes'),
            tables: count('tables'),
            rows: count('rows'),
            contentSha256: String(memo.contentHash ?? ''),
          },
          files: { count: count('files'), bytes: count('fileBytes') },
          exports: { count: count('exports'), bytes: count('exportBytes') },
        },
        kept: [
          { what: 'host name, so that nobody inherits it', until: heldUntilOf(deps).toISOString() },
          { what: 'records of operations and security events, without personal data of users', until: 'unlimited' },
        ],
      });
      await insertCertificate(deps.db, { certificateId, tenantId, tenantName: operation.tenantName, ...issued });
      await setResult({ certificateId });
    },
  };
}

/** Issues the certificate that completes the first one, now that the key is destroyed; what that said of the deletion is said again, word for word. */
export function completionStep(deps: FlowDeps): Step {
  return {
    name: 'certificate',
    async run(context) {
      const { tenantId, memo, remember, setResult } = context;
      const first = await findCertificate(deps.db, tenantId);
      if (!first) throw new Error('the deletion has no certificate');
      const certificateId = String(first.completes ? first.certificateId : (memo.certificateId ?? newId('crt')));
      await remember({ certificateId });
      if (!first.completes) {
        const { signature: _, destroyed, ...said } = first.document as JsonDocument & { destroyed: Destroyed };
        const { key: __, ...data } = destroyed;
        const key = { destroyed: !(await deps.keys.hasTenantKey(tenantId)), at: nowOf(deps).toISOString() };
        const { certificateId: completes, tenantName } = first;
        const issued = await sign(deps, context, key, { ...said, certificateId, completes, destroyed: data });
        await insertCertificate(deps.db, { certificateId, tenantId, tenantName, completes, ...issued });
      }
      await setResult({ certificateId });
    },
  };
}

async function sign(
  deps: FlowDeps,
  { tenantId }: StepContext,
  key: Destroyed['key'],
  said: JsonDocument & { readonly destroyed: JsonDocument },
) {
  const signer = createDocumentSigner(await deps.keys.deriveInstallationKey('document-signing'));
  const issuedAt = nowOf(deps);
  const copies = await selectLivingCopies(deps.db, tenantId);
  const document = signer.signDocument({
    ...said,
    type: 'freehold.deletion-certificate',
    version: 2,
    issuedAt: issuedAt.toISOString(),
    destroyed: { ...said.destroyed, key },
    expires: expiries(deps, key),
    backups: wordsOfBackups(deps, key),
    // Tenants of their own, with keys of their own, which this deletion did not touch.
    copies: copies.map(({ madeAt, ...copy }) => ({ ...copy, madeAt: madeAt.toISOString() })),
  });
  return { issuedAt, document, publicKeyPem: signer.publicKeyPem };
}

function expiries({ restores }: FlowDeps, key: Destroyed['key']): { what: string; when: string }[] {
  return [
    ...(key.dueAt
      ? [
          {
            what: "the tenant's key, and with it whatever is sealed under it: base backups, dumps and files in the regions",
            when: `within a day after ${key.dueAt}`,
          },
        ]
      : []),
    {
      what: "write-ahead log of the database server that is not yet recycled, on the server's own disk",
      when: 'after the next checkpoints',
    },
    ...(restores
      ? [
          {
            what: "write-ahead log in the regions, sealed under the database server's key",
            when: 'when the retention of backups ends',
          },
        ]
      : []),
  ];
}

function wordsOfBackups({ restores }: FlowDeps, key: Destroyed['key']): string {
  if (!restores) return 'This installation keeps no backups.';
  return key.destroyed
    ? 'What is left of the tenant in base backups, dumps and stored files can be read by nobody, because its key is destroyed.'
    : 'The tenant can be restored from the backups as long as its key is kept; then nobody can read them.';
}
