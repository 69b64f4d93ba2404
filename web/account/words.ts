import type { Role, SecurityEvent } from './api.ts';

/** What roles may do, in the words of every page. */
export const roleWords: Record<Role, { readonly label: string; readonly withArticle: string; readonly may: string }> = {
  owner: { label: 'Owner', withArticle: 'an owner', may: 'everything, and decide who else is an owner' },
  admin: { label: 'Admin', withArticle: 'an admin', may: 'invite and remove people, and read the security log' },
  member: { label: 'Member', withArticle: 'a member', may: 'work in the app' },
};

export const roleOptions = (['member', 'admin', 'owner'] as const).map((value) => ({
  value,
  label: roleWords[value].label,
}));

/** `Firefox on Linux`, from the browser's own description; the whole text stays available on hover. */
export function describeDevice(userAgent: string | null | undefined): string {
  if (!userAgent) return 'Unknown device';
  const browser = (
    [
      [/Edg\//, 'Edge'],
      [/OPR\//, 'Opera'],
      [/Firefox\//, 'Firefox'],
      [/Chrom(e|ium)\//, 'Chrome'],
      [/Safari\//, 'Safari'],
      [/curl\//, 'curl'],
    ] as const
  ).find(([pattern]) => pattern.test(userAgent))?.[1];
  const system = (
    [
      [/iPhone|iPad/, 'iOS'],
      [/Android/, 'Android'],
      [/Windows/, 'Windows'],
      [/Mac OS X/, 'macOS'],
      [/CrOS/, 'ChromeOS'],
      [/Linux/, 'Linux'],
    ] as const
  ).find(([pattern]) => pattern.test(userAgent))?.[1];
  if (!browser) return system ? `Browser on ${system}` : 'Another program';
  return system ? `${browser} on ${system}` : browser;
}

/** Security events in words; an event that is new to this page is shown by its own name. */
const eventWords: Readonly<Record<string, string>> = {
  'tenant.second_factor_policy_changed': 'Changed who must have a second factor',
  'tenant.second_factor_policy_refused': 'Change of who must have a second factor refused',
  'user.created': 'Made a user for demonstration',
  'user.invited': 'Invited somebody',
  'user.invitation_accepted': 'Accepted an invitation',
  'user.invitation_revoked': 'Withdrew an invitation',
  'user.role_changed': 'Changed a role',
  'user.disabled': 'Disabled a user',
  'user.enabled': 'Enabled a user',
  'user.password_changed': 'Changed the password',
  'user.password_change_refused': 'Change of the password refused',
  'user.access_reset_created': 'Made a link to get back in',
  'user.password_reset_requested': 'Asked for a link for a new password',
  'user.password_reset': 'Chose a new password by mail',
  'user.second_factor_enrolled': 'Set up an authenticator app',
  'user.second_factor_removed': 'Turned the second factor off',
  'user.second_factor_reset': "Removed somebody's second factor",
  'user.second_factor_refused': 'Change of the second factor refused',
  'user.recovery_code_used': 'Used a recovery code',
  'user.recovery_codes_replaced': 'Made new recovery codes',
  'user.passkey_added': 'Added a passkey',
  'user.passkey_removed': 'Removed a passkey',
  'user.passkey_counter_refused': 'Passkey refused: there may be a copy of it',
  'user.created_by_sign_on': 'Became a user over the organisation',
  'user.linked': 'Signed in over the organisation for the first time',
  'user.unlinked': 'Removed the link to the organisation',
  'connection.created': 'Set up a connection',
  'connection.changed': 'Changed a connection',
  'connection.turned_on': 'Turned a connection on',
  'connection.turned_off': 'Turned a connection off',
  'connection.removed': 'Removed a connection',
  'connection.metadata_changed': 'Metadata of the provider read again: changed',
  'connection.metadata_refused': 'Metadata of the provider read again: not taken',
  'connection.tested': 'Tested a connection',
  'domain.added': 'Added a mail domain',
  'domain.proven': 'Proved a mail domain',
  'domain.removed': 'Removed a mail domain',
  'sign_on.policy_changed': 'Changed who has to use single sign-on',
  'sign_on.change_refused': 'Change of single sign-on refused',
  'session.sign_on_verified': 'The organisation vouched for a user',
  'session.sign_on_failed': 'Sign-in over the organisation refused',
  'session.ended_by_provider': 'Signed out by the organisation',
  'session.log_out_refused': 'Sign-out message of the organisation refused',
  'session.provider_log_out_asked': 'Asked the organisation to sign out, too',
  'session.provider_log_out_answered': 'The organisation answered a sign-out',
  'session.created': 'Signed in',
  'session.login_failed': 'Sign-in refused',
  'session.login_throttled': 'Sign-in attempts slowed down',
  'session.passkey_failed': 'Sign-in with a passkey refused',
  'session.second_factor_awaited': 'Password right, code awaited',
  'session.second_factor_failed': 'Code refused',
  'session.second_factor_throttled': 'Tries at codes slowed down',
  'session.ended': 'Signed out',
  'session.all_ended': 'Signed out everywhere',
  'session.others_ended': 'Signed out all other devices',
  'session.app_code_reused': 'App: a sign-in was shown twice, and ended there',
  'session.key_reused': 'Session ended: an old key of it was used',
  'token.created': 'Made an API token',
  'token.refused': 'API token refused: wrong password',
  'token.revoked': 'Revoked an API token',
  'user.provisioned': 'Made a user, by the directory',
  'user.provisioning_changed': 'Changed a user, by the directory',
  'group.created': 'Made a group',
  'group.changed': 'Changed a group',
  'group.deleted': 'Removed a group',
  'group.role_changed': 'Changed the role of a group',
  'scim_token.created': 'Made a SCIM token',
  'scim_token.refused': 'SCIM token refused: wrong password',
  'scim_token.revoked': 'Revoked a SCIM token',
  'security_log.exported': 'Took the security log as a file',
  'backup.download_confirmed': 'Confirmed a download of the database',
  'backup.download_refused': 'Download of the database refused',
  'backup.downloaded': 'Downloaded the database',
};

export function describeEvent(name: string): string {
  return eventWords[name] ?? name;
}

export const eventOptions = Object.entries(eventWords).map(([value, label]) => ({ value, label }));

/** Acts of others than users of the tenant: the operator's staff, the platform, or nobody known. */
export function describeActor(actor: string): string {
  if (actor.startsWith('staff:')) return "The operator's staff";
  if (actor.startsWith('os:')) return 'The operator';
  if (actor === 'system') return 'Freehold itself';
  if (actor.startsWith('scim:')) return 'The directory (SCIM)';
  if (actor === 'anonymous') return 'Nobody signed in';
  return actor.replace(/^user:/, '');
}

/** Whom an act concerned, and what changed; empty when it was the person who acted. */
export function describeSubject({ actor, subject, subjectName, details = {} }: SecurityEvent): string {
  const isSelf = actor.replace(/^user:/, '') === subject;
  // Ids of sessions and invitations say nothing to a person; the address that was invited does.
  const whom = isSelf
    ? undefined
    : (subjectName ?? text(details.email) ?? (subject === 'unknown' ? 'an unknown address' : undefined));
  const change =
    text(details.from) && text(details.to) ? `${text(details.from)} → ${text(details.to)}` : text(details.role);
  return [
    whom,
    text(details.displayName),
    change,
    text(details.changed),
    text(details.tokenName),
    text(details.passkeyName),
  ]
    .filter(Boolean)
    .join(', ');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
