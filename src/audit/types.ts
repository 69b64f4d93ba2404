import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';

/** Security events, `noun.past_verb`. The catalogue in docs/events.md is tested against this list. */
export const auditEvents = {
  'tenant.created': 'A tenant is ready to sign in.',
  'tenant.suspended': 'A tenant was closed for use; its data is kept.',
  'tenant.resumed': 'A suspended tenant was opened again.',
  'tenant.renamed': 'A tenant has another host name.',
  'tenant.swapped': 'Two tenants exchanged their host names.',
  'tenant.residency_changed': 'Where the data of a tenant may be was changed.',
  'tenant.recovery_point_changed': "How much of a tenant's work may be lost was changed.",
  'tenant.moved': 'A tenant was moved to another PostgreSQL server, and with it to another edition.',
  'tenant.move_confirmed': 'A move of a tenant is final: the database that it left was removed.',
  'tenant.cloned': 'A tenant was copied without sessions and secrets.',
  'tenant.exported': "A tenant's data left the installation as an archive.",
  'tenant.archive_downloaded': "Somebody took an archive of a tenant's data.",
  'tenant.archive_removed': "An archive of a tenant's data was removed from this machine.",
  'tenant.imported': 'A tenant was made from an archive.',
  'tenant.restored': 'A tenant was made from an earlier moment of another.',
  'tenant.deleted': 'A tenant was deleted; its key is destroyed, or will be after the grace period.',
  'tenant.key_destroyed': 'The key of a deleted tenant was destroyed: nobody can restore it any more.',
  'tenant.second_factor_policy_changed': 'An owner changed who must have a second factor.',
  'tenant.second_factor_policy_refused': 'A change of who must have a second factor was refused.',
  'tenant.migration_failed': 'A tenant could not be brought to the newest migrations.',
  'tenant.schema_drifted': "A tenant's schema is not what its version says.",
  'tenant.schema_drift_ended': "A tenant's schema is again what its version says.",
  'tenant.operation_failed': 'A lifecycle operation stopped at a step.',
  'tenant.operation_retried': 'Somebody let a lifecycle operation that had stopped go on.',
  'tenant.operation_cancelled': 'Somebody let what a stopped lifecycle operation had done be taken back.',
  'app.version_added': 'A version of an app was built and can be run.',
  'app.version_failed': 'A version of an app could not be built.',
  'app.version_removed': 'A version of an app was removed.',
  'release.started': 'A version of an app began its way through the rings.',
  'release.ring_done': 'A release has been through a ring.',
  'release.halted': 'A gate stopped a release.',
  'release.changed': 'Somebody paused, resumed, promoted or took back a release.',
  'release.returned': 'A release was taken back: every tenant that it had reached runs what it ran before.',
  'release.done': 'A release has been through all rings.',
  'release.tenant_failed':
    'A tenant could not be given a version, or did not run well with it, and was taken back alone.',
  'release.ring_chosen': 'A tenant was given a ring.',
  'plugin.added': 'A plugin, or another version of one, was added to a tenant.',
  'plugin.removed': 'A plugin was removed from a tenant.',
  'plugin.enabled': 'A plugin of a tenant may run.',
  'plugin.disabled': 'A plugin of a tenant may not run any more.',
  'plugin.failed': 'A plugin failed so often in a row that it runs no more.',
  'plugin.run': "Somebody of the operator's ran a plugin by hand.",
  'plugin.log_read': "Somebody of the operator's read the log of a tenant's plugins.",
  'app.version_used': 'A tenant was given another version of its app.',
  'app.log_read': "Somebody of the operator's opened the log of a tenant's app.",
  'user.created': 'A user was made without an invitation, for demo data.',
  'user.invited': 'Somebody was invited into a tenant.',
  'user.invitation_accepted': 'An invitation became a user.',
  'user.invitation_revoked': 'An invitation was withdrawn.',
  'user.role_changed': 'A user has another role.',
  'user.disabled': 'A user may no longer sign in.',
  'user.enabled': 'A disabled user may sign in again.',
  'user.password_changed': 'A user set another password.',
  'user.password_change_refused': 'A change of a password was refused: the old one or the second factor was wrong.',
  'user.password_reset_requested': 'Somebody asked for a link with which a user can choose a new password.',
  'user.access_reset_created':
    'The operator made a link with which a user chooses a password and is rid of second factors.',
  'user.password_reset': 'A user chose a new password with a link sent by mail.',
  'user.second_factor_enrolled': 'A user set up an authenticator app as second factor.',
  'user.second_factor_removed': 'A user turned their authenticator app off.',
  'user.second_factor_reset': 'An administrator removed the second factors of a user.',
  'user.second_factor_refused': 'A change of a second factor was refused: password or second factor was wrong.',
  'user.recovery_code_used': 'A user showed a recovery code in place of their second factor.',
  'user.recovery_codes_replaced': 'A user made new recovery codes; the old ones are worthless.',
  'user.passkey_added': 'A user added a passkey.',
  'user.passkey_removed': 'A user removed one of their passkeys.',
  'user.passkey_counter_refused':
    'A passkey was refused because its counter did not grow: there may be a copy of its authenticator.',
  'user.created_by_sign_on': 'A user was made because their organisation vouched for them.',
  'user.linked': 'A user signed in over their organisation for the first time.',
  'user.unlinked': 'An owner removed the link between a user and their organisation.',
  'connection.created': 'An owner set up a connection for single sign-on.',
  'connection.changed': 'An owner changed a connection for single sign-on.',
  'connection.turned_on': 'An owner let people sign in over a connection.',
  'connection.turned_off': 'Nobody signs in over a connection any more.',
  'connection.removed': 'An owner removed a connection, with its domains and links.',
  'connection.metadata_changed': 'Metadata of a provider were read again, and its keys or addresses are others.',
  'connection.metadata_refused': 'Metadata of a provider were read again, and were not taken: what there was goes on.',
  'connection.tested': 'An owner tested a connection.',
  'domain.added': 'An owner named a mail domain for single sign-on.',
  'domain.proven': 'The DNS showed that the tenant rules a mail domain.',
  'domain.removed': 'An owner removed a mail domain.',
  'sign_on.policy_changed': 'An owner changed whether everybody has to use single sign-on.',
  'sign_on.change_refused': 'A change of single sign-on was refused.',
  'session.sign_on_verified': 'An organisation vouched for a user.',
  'session.sign_on_failed': 'A sign-in over an organisation let nobody in.',
  'session.ended_by_provider': 'An organisation signed a user out.',
  'session.log_out_refused': 'A sign-out message that was to come from an organisation was refused.',
  'session.provider_log_out_asked': 'A user signed out, and the organisation was asked to do the same.',
  'session.provider_log_out_answered': 'An organisation answered whether it signed a user out.',
  'session.created': 'A user signed in.',
  'session.login_failed': 'A sign-in was refused.',
  'session.login_throttled': 'Sign-in attempts were slowed down.',
  'session.passkey_failed': 'A sign-in with a passkey alone was refused.',
  'session.second_factor_awaited': 'A password was right, and the second factor was asked for.',
  'session.second_factor_failed': 'After a right password the second factor was wrong.',
  'session.second_factor_throttled': 'After a right password, tries at the second factor were slowed down.',
  'session.ended': 'A user signed out.',
  'session.all_ended': 'A user signed out everywhere.',
  'session.others_ended': 'A user signed out all their other devices.',
  'session.key_reused':
    'A session was ended because a key of it came back that had been replaced: somebody has a copy of its cookie.',
  'session.app_code_reused': 'The app showed a code of a sign-in a second time: what it had got for it was ended.',
  'token.created': 'A user made an API token.',
  'token.refused': 'An API token was not made: the password was wrong.',
  'token.revoked': 'An API token was revoked.',
  'user.provisioned': "A user was made, or made again, by the tenant's directory (SCIM).",
  'user.provisioning_changed': "The tenant's directory changed what a user is called, or their address.",
  'group.created': "A group was made by the tenant's directory.",
  'group.changed': "The tenant's directory renamed a group, or changed its members.",
  'group.deleted': "A group was removed by the tenant's directory.",
  'group.role_changed': 'An administrator changed what role the members of a group have.',
  'scim_token.created': "An administrator made a token for the tenant's directory.",
  'scim_token.refused': "A token for the tenant's directory was not made: the password was wrong.",
  'scim_token.revoked': "A token for the tenant's directory was revoked.",
  'security_log.exported': 'An administrator took the security log, or a part of it, as a file.',
  'mail.read': 'A staff member read a message to a user of a tenant.',
  'mail.sent_again': 'A staff member had a message sent that was kept, held or given up.',
  'backup.shipping_changed': 'Shipping of the log met trouble, or got over it.',
  'backup.completed': 'A base backup is in the regions.',
  'backup.suspect': 'A base backup is in the regions, and a page in it failed its checksum.',
  'backup.failed': 'A base backup was begun and is not there.',
  'backup.pruned': 'Objects that retention needs no more were removed from a region.',
  'backup.dump_failed': 'A tenant could not be dumped.',
  'backup.dump_unsound': 'A dump was restored to check it, and is not what it should be.',
  'backup.download_confirmed': 'An owner confirmed who they are, to download a dump.',
  'backup.download_refused': 'A download of a dump was refused.',
  'backup.downloaded': "A dump of a tenant's database left the installation.",
  'backup.verified': 'A base backup was restored from one region and is what it should be.',
  'backup.verification_failed': 'A base backup was restored, or could not be, and is not what it should be.',
  'backup.drill_passed': 'The whole installation was rebuilt from one region.',
  'backup.drill_failed': 'The installation could not be rebuilt from one region as it should be.',
  'backup.copied': 'A base backup was brought to a region that had missed it.',
  'backup.key_rotated': 'What belongs to the cluster is sealed under a new key from now on.',
  'backup.kit_replaced': 'A new recovery kit was printed; older ones open nothing any more.',
  'fleet.migration_started': 'Bringing tenants to the newest migrations began.',
  'fleet.migration_finished': 'Everybody was brought to the newest migrations who could be.',
  'fleet.migration_halted': 'Bringing tenants to the newest migrations was stopped, because too many failed.',
  'staff.setup_link_created': 'A link was made with which one staff member can be set up.',
  'staff.created': 'A staff member was set up.',
  'staff.session_created': 'A staff member signed in to the console.',
  'staff.login_failed': 'A console sign-in was refused.',
  'staff.login_throttled': 'Console sign-in attempts were slowed down.',
  'staff.second_factor_enrolled': 'A staff member set up a second factor; all their sessions ended.',
  'staff.second_factor_reset': 'A staff member used a link that removes the second factor.',
  'staff.second_factor_awaited': "A staff member's password was right; a code is asked for.",
  'staff.second_factor_failed': 'A wrong code was shown after the right password of a staff member.',
  'staff.second_factor_throttled': 'Codes of a staff member were slowed down: somebody has the password and guesses.',
  'staff.recovery_code_used': 'A staff member used a recovery code.',
  'staff.recovery_codes_replaced': 'A staff member made new recovery codes; the old ones are worthless.',
  'staff.step_up_confirmed': 'A staff member showed again who they are; dangerous acts are allowed for five minutes.',
  'staff.step_up_refused': 'A staff member failed to show who they are before a dangerous act.',
  'staff.session_ended': 'A staff member signed out.',
} as const satisfies Record<string, string>;
export type AuditEventName = keyof typeof auditEvents;

export interface AuditEvent {
  readonly name: AuditEventName;
  /** Who: `staff:stf_…`, `user:usr_…`, `system`, `os:root` for the command line, `scim:sct_…` for a tenant's directory, or `anonymous` for somebody who is not signed in. */
  readonly actor: string;
  /** What it was done to, for example a tenant or user id. */
  readonly subject: string;
  readonly tenantId?: TenantId;
  /** Address of the caller, if there is one. */
  readonly address?: string;
  /** Further facts; never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** What of a log is asked for; undefined: everything. */
export interface AuditFilter {
  readonly tenantId?: TenantId | undefined;
  readonly name?: AuditEventName | undefined;
  /** A user's id: who acted, or whom it was done to. */
  readonly person?: string | undefined;
  /** ISO 8601, included. */
  readonly from?: string | undefined;
  /** ISO 8601, not included. */
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  /** Whose backup it is about: a private server's name, or `main`. */
  readonly server?: string | undefined;
}

export type { ExportFormat } from './export.ts';

/** Writes an event in the caller's transaction, so that the act and its record are one. */
export type RecordAudit = (db: Queryable, event: AuditEvent) => Promise<void>;
