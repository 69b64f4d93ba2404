/**
 * tenants: the registry, host names and the life of a tenant. One transition table; every operation is recorded with its steps
 * before it begins, so that a crash between any two steps is finished or undone at the next start.
 * Invariants: a name belongs to at most one tenant, also after it was given up; one operation at a time per tenant; a host answers
 * last when a tenant is born and first falls silent when it dies; role passwords leave this folder only as TenantAccess.
 * Databases, users, files and archives are reached through ports.ts, wired in main. Callers: control, console-api, portability.
 */
export { type ControlDirectory, type ControlDirectoryDeps, createControlDirectory } from './directory.ts';
export { tenantErrors } from './errors.ts';
export type { OperationInputs } from './flow.ts';
export { createTenantLifecycle, type TenantLifecycle, type TenantLifecycleOptions } from './lifecycle.ts';
export { parseEvent, parseMoment } from './moments.ts';
export { parseEmail, parseTenantName, parseTitle, suggestTenantName } from './names.ts';
export type { DeletionCertificate, OperationQuery } from './operations-sql.ts';
export type {
  AppProcessesPort,
  AppVersionsPort,
  ControlDatabase,
  DatabasesPort,
  FilesPort,
  IdentityPort,
  LifecycleDeps,
  LifecyclePorts,
  LifecycleSettings,
  OnProgress,
  PortabilityPort,
  PrivateServersPort,
  RecoveryPointPort,
  RestorePort,
  TenantInventory,
} from './ports.ts';
export { type Places, requireAllResidencies, type WantedResidency } from './residency.ts';
export { selectPrivateClusters, type TenantPage, type TenantQuery } from './sql.ts';
export { allowedStates, canMove, isClosedForAMoment, moves } from './transitions.ts';
export type * from './types.ts';
export { operationKinds, recoveryPoints, tenantStates } from './types.ts';
export { createTenantUsage, type TenantUsage, type TenantUsageDeps } from './usage.ts';
