/** The console's words for states, operations and steps. */
import type { Tone } from '../design/index.ts';
import type { OperationKind, OperationState, TenantState } from './api.ts';

export const tenantStateWords: Record<
  TenantState,
  { readonly label: string; readonly tone: Tone; readonly means: string }
> = {
  requested: { label: 'Requested', tone: 'working', means: 'It will be made in a moment.' },
  creating: { label: 'Creating', tone: 'working', means: 'It is being made; its host answers when it is ready.' },
  active: { label: 'Active', tone: 'ok', means: 'Its users can sign in and work.' },
  migrating: { label: 'Closed for a copy', tone: 'working', means: 'Its users wait while its database is copied.' },
  suspended: { label: 'Suspended', tone: 'late', means: 'Its users see a page that says so. Its data is kept.' },
  restoring: { label: 'Restoring', tone: 'working', means: 'It is being brought back to an earlier moment.' },
  moving: { label: 'Moving', tone: 'working', means: 'It is being moved to another server.' },
  deleting: { label: 'Deleting', tone: 'working', means: 'Its data is being destroyed.' },
  deleted: { label: 'Deleted', tone: 'quiet', means: 'Its data is destroyed.' },
};

export const operationStateWords: Record<OperationState, { readonly label: string; readonly tone: Tone }> = {
  running: { label: 'Running', tone: 'working' },
  succeeded: { label: 'Done', tone: 'ok' },
  failed: { label: 'Failed', tone: 'urgent' },
  undone: { label: 'Taken back', tone: 'quiet' },
};

export const kindWords: Record<
  OperationKind,
  { readonly label: string; readonly running: string; readonly usually: string }
> = {
  create: { label: 'Create', running: 'Creating', usually: 'usually under a second' },
  suspend: { label: 'Suspend', running: 'Suspending', usually: 'usually under a second' },
  resume: { label: 'Resume', running: 'Resuming', usually: 'usually under a second' },
  rename: { label: 'Rename', running: 'Renaming', usually: 'usually under a second' },
  swap: { label: 'Swap names', running: 'Swapping names', usually: 'usually under a second' },
  set: { label: 'Change recovery point', running: 'Changing its recovery point', usually: 'usually under a second' },
  update: { label: 'Change version', running: 'Changing the version of its app', usually: 'usually some seconds' },
  move: {
    label: 'Move',
    running: 'Moving to another server',
    usually: 'some seconds, and about a minute per gigabyte',
  },
  clone: { label: 'Clone', running: 'Cloning', usually: 'a few seconds per gigabyte' },
  export: { label: 'Export', running: 'Exporting', usually: 'about a minute per gigabyte' },
  import: { label: 'Import', running: 'Importing', usually: 'about two minutes per gigabyte' },
  restore: { label: 'Restore', running: 'Restoring', usually: 'some minutes per gigabyte' },
  delete: { label: 'Delete', running: 'Deleting', usually: 'usually a few seconds' },
  destroy: { label: 'Destroy key', running: 'Destroying its key', usually: 'usually under a second' },
};

const stepWords: Readonly<Record<string, string>> = {
  key: 'Make its key',
  database: 'Make its database',
  open: 'Open the database for its roles',
  migrations: 'Run migrations',
  administrator: 'Invite the first administrator',
  demo: 'Fill with demonstration data',
  host: 'Publish its host name',
  server: 'Start its PostgreSQL server',
  place: 'Change where it is',
  gate: 'Close the source for writing',
  reopen: 'Open the source again',
  snapshot: 'Copy its database, to go back to',
  content: 'Put its content back',
  version: 'Give it the version',
  start: 'Migrate, start and ask for its health',
  strip: 'Remove sessions and secrets from the copy',
  files: 'Copy files',
  names: 'Change the host name',
  'earlier-sessions': 'End earlier sessions of its database',
  'recovery-point': 'Give it the recovery point of its source',
  gateways: 'Tell every gateway',
  state: 'Change its state',
  archive: 'Write the archive',
  recover: 'Recover the database to the moment',
  secure: 'Leave out sessions and invitations',
  upload: 'Remove the archive',
  load: 'Load the archive',
  inventory: 'List what will be destroyed',
  sessions: 'End every session and connection',
  exports: 'Remove exports',
  certificate: 'Issue the deletion certificate',
};

/** Steps whose name means something else in one kind of operation. */
const stepWordsByKind: Partial<Record<OperationKind, Readonly<Record<string, string>>>> = {
  suspend: { database: 'Close its database' },
  resume: { database: 'Open its database' },
  clone: { database: 'Copy the database' },
  move: {
    database: 'Make an empty database there',
    gate: 'Close the tenant: requests wait',
    copy: 'Copy its content and compare it',
  },
  delete: {
    host: 'Withdraw its host name',
    copies: 'Bring its last files to a region',
    database: 'Drop its database',
    files: 'Remove its files',
    key: 'Destroy its key',
  },
  destroy: { key: 'Destroy its key', certificate: 'Complete the deletion certificate' },
};

export function describeStep(kind: OperationKind, step: string): string | undefined {
  return stepWordsByKind[kind]?.[step] ?? stepWords[step];
}

/** To choose from in the audit log. The server knows the full catalogue; an event that is missing here is still listed. */
export const auditEventNames: readonly string[] = [
  'tenant.created',
  'tenant.suspended',
  'tenant.resumed',
  'tenant.renamed',
  'tenant.swapped',
  'tenant.recovery_point_changed',
  'tenant.cloned',
  'tenant.exported',
  'tenant.imported',
  'tenant.restored',
  'tenant.deleted',
  'tenant.key_destroyed',
  'tenant.operation_failed',
  'app.version_added',
  'app.version_failed',
  'app.version_removed',
  'app.version_used',
  'app.log_read',
  'release.started',
  'release.ring_done',
  'release.halted',
  'release.changed',
  'release.returned',
  'release.done',
  'release.tenant_failed',
  'release.ring_chosen',
  'mail.read',
  'mail.sent_again',
  'staff.setup_link_created',
  'staff.created',
  'staff.session_created',
  'staff.login_failed',
  'staff.login_throttled',
  'staff.session_ended',
];
