import { failpoint, randomName, type TenantId } from '#src/kernel/index.ts';
import type { ControlDatabase, Operation, OperationKind, TenantLifecycle } from '#src/tenants/index.ts';
import { type Column, contractionsOf } from './schema.ts';
import { findSubject, holdOne, selectCopies } from './sql.ts';
import type { Release } from './types.ts';

export interface RehearsalDeps {
  readonly db: ControlDatabase;
  readonly lifecycle: () => Pick<TenantLifecycle, 'startOperation' | 'waitForOperation'>;
  /** Of everything in the tenant's database that is the app's. */
  readonly readColumns: (tenantId: TenantId) => Promise<readonly Column[]>;
}

/** The process stops. */
class Interrupted extends Error {}

/** Many differences are one reason. */
const shownContractions = 5;

/**
 * Tries a release on a copy of one tenant that is to get it: forward, then the version before on the schema as it is then, because that is what a way back
 * without content meets. The copy is removed with its key.
 * @returns why nobody is to get it; undefined: somebody may. Rejects when it could not be tried to its end.
 */
export async function rehearse(deps: RehearsalDeps, release: Release): Promise<string | undefined> {
  const { releaseId, app, version, settings } = release;
  const lifecycle = deps.lifecycle();
  // Copies are found again by it after a kill, and removed; a name that was used is held back.
  const prefix = `rehearsal-${releaseId.slice(-10)}-`;

  async function run(kind: OperationKind, tenantId: TenantId, input: object): Promise<Operation> {
    const { operationId } = await lifecycle.startOperation(kind, tenantId, input as never, 'system');
    const ended = await lifecycle.waitForOperation(operationId);
    if (ended.state === 'running') throw new Interrupted();
    return ended;
  }
  const textOf = ({ error }: Operation) => error?.text.split('\n').slice(0, 4).join('\n') ?? 'it was taken back';
  const remove = async () => {
    for (const tenantId of await selectCopies(deps.db, prefix)) await run('delete', tenantId, { now: true });
  };

  await remove();
  const subject = await findSubject(deps.db, release);
  if (!subject) return undefined;
  try {
    const cloned = await run('clone', subject.tenantId, {
      newName: prefix + randomName(6),
      title: `Rehearsal of ${app} ${version}`,
    });
    if (cloned.state !== 'succeeded') throw new Error(`no copy could be made for a rehearsal: ${textOf(cloned)}`);
    const copy = cloned.tenantId;
    await holdOne(deps.db, copy);
    await failpoint('releases.rehearsal.cloned');
    const before = await deps.readColumns(copy);
    const forward = await run('update', copy, { version, onBehalfOf: releaseId });
    if (forward.state !== 'succeeded') return `on a copy of a tenant it fails: ${textOf(forward)}`;
    const contractions = contractionsOf(before, await deps.readColumns(copy));
    if (contractions.length > 0 && !settings.mayContract) {
      const more = contractions.length - shownContractions;
      const list = contractions.slice(0, shownContractions).join('; ') + (more > 0 ? `; and ${more} more` : '');
      return `${subject.version} would not find what it needs after it: ${list}`;
    }
    const back = await run('update', copy, { version: subject.version, onBehalfOf: releaseId });
    if (back.state !== 'succeeded' && !settings.mayContract)
      return `${subject.version} does not run on the schema that it leaves: ${textOf(back)}`;
    return undefined;
  } finally {
    await remove().catch((error) => {
      if (!(error instanceof Interrupted)) throw error;
    });
  }
}
