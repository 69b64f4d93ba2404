import { tenantErrors } from './errors.ts';
import type { OperationKind, TenantState } from './types.ts';

/** The one table of allowed moves. Whatever is not listed is refused, in code and (for the state's spelling) in the database. */
export const moves: Readonly<Record<TenantState, readonly TenantState[]>> = {
  requested: ['creating'],
  // deleted: taken back before it was ever in use.
  creating: ['active', 'deleted'],
  active: ['migrating', 'suspended', 'restoring', 'moving', 'deleting'],
  // suspended: a suspended tenant that was closed for a copy goes back to where it was.
  migrating: ['active', 'suspended'],
  suspended: ['active', 'migrating', 'restoring', 'moving', 'deleting'],
  restoring: ['active', 'suspended'],
  moving: ['active', 'suspended'],
  deleting: ['deleted'],
  deleted: [],
};

/** In which states an operation may begin. `create` and `import` begin a tenant of their own; `clone` and `restore` name the source. */
export const allowedStates: Readonly<Record<OperationKind, readonly TenantState[]>> = {
  create: ['requested'],
  import: ['requested'],
  suspend: ['active'],
  resume: ['suspended'],
  rename: ['active', 'suspended'],
  clone: ['active', 'suspended'],
  export: ['active', 'suspended'],
  // deleting, deleted: as long as there is a key.
  restore: ['active', 'suspended', 'deleting', 'deleted'],
  swap: ['active', 'suspended'],
  set: ['active', 'suspended'],
  update: ['active'],
  move: ['active', 'suspended'],
  delete: ['active', 'suspended'],
  destroy: ['deleted'],
};

export function canMove(from: TenantState, to: TenantState): boolean {
  return moves[from].includes(to);
}

/** @throws FH_TENANT_STATE with what would be allowed. */
export function assertAllowed(kind: OperationKind, state: TenantState): void {
  if (allowedStates[kind].includes(state)) return;
  const possible = (Object.keys(allowedStates) as OperationKind[]).filter((other) =>
    allowedStates[other].includes(state),
  );
  throw tenantErrors.FH_TENANT_STATE({
    detail: `it is ${state}, and ${kind} needs ${allowedStates[kind].join(' or ')}`,
    hint: possible.length > 0 ? `Possible now: ${possible.join(', ')}.` : 'Nothing can be done with it in this state.',
  });
}

/** Closed for a moment: whoever asks then had better wait than be told so. */
export function isClosedForAMoment(state: TenantState): boolean {
  return state === 'migrating' || state === 'moving';
}
