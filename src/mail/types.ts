import type { Id, TenantId } from '#src/kernel/index.ts';

export type MailId = Id<'mai'>;

/**
 * What may be said to whom. A gateway names the kind and the facts; the words, the tenant's name and the origin of links are added by control, so
 * that whoever holds a gateway can neither write a text of their own nor lead a link elsewhere. Times are ISO 8601.
 */
export type MailOrder =
  | {
      readonly kind: 'invitation';
      readonly to: string;
      readonly name?: string | undefined;
      readonly invitedBy?: string | undefined;
      readonly token: string;
      readonly expiresAt: string;
    }
  | {
      readonly kind: 'password_reset';
      readonly to: string;
      readonly name?: string | undefined;
      readonly token: string;
      readonly expiresAt: string;
    }
  | ({
      readonly kind:
        | 'password_changed'
        | 'password_was_reset'
        | 'new_sign_in'
        | 'session_replayed'
        | 'api_token_created'
        | SecondFactorNotice;
    } & MailNotice);

/** About the second factor of the recipient. */
export type SecondFactorNotice =
  | 'second_factor_enrolled'
  | 'second_factor_removed'
  | 'second_factor_reset'
  | 'second_factor_guessed'
  | 'recovery_code_used'
  | 'recovery_codes_replaced'
  | 'passkey_added'
  | 'passkey_removed'
  | 'passkey_copied';

/** Something happened to somebody's account. */
export interface MailNotice {
  readonly to: string;
  readonly name?: string | undefined;
  readonly at: string;
  readonly address?: string | undefined;
  /** The `User-Agent`, as it may be shown. */
  readonly browser?: string | undefined;
}

export const mailKinds = [
  'invitation',
  'password_reset',
  'password_changed',
  'password_was_reset',
  'new_sign_in',
  'session_replayed',
  'second_factor_enrolled',
  'second_factor_removed',
  'second_factor_reset',
  'second_factor_guessed',
  'recovery_code_used',
  'recovery_codes_replaced',
  'passkey_added',
  'passkey_removed',
  'passkey_copied',
  'api_token_created',
] as const satisfies readonly MailOrder['kind'][];
export type MailKind = (typeof mailKinds)[number];

/**
 * `kept`: there was no mail server when it was written; it is read in the console. `queued`, `sending`, `sent`. `failed`: given up, nobody will try again by
 * itself. `held`: the tenant or the installation was restored or renamed since; it goes only when a person says so.
 */
export const mailStates = ['kept', 'queued', 'sending', 'sent', 'failed', 'held'] as const;
export type MailState = (typeof mailStates)[number];

/** For features that have something to say to a user. Resolves when the message is safely queued; it is sent later. */
export type QueueMail = (tenantId: TenantId, order: MailOrder) => Promise<void>;

/** A message in the words in which it is sent. */
export interface Letter {
  readonly to: string;
  readonly subject: string;
  /** The tenant's title, as the name of the sender. */
  readonly fromName: string;
  readonly text: string;
  readonly html: string;
  /** What makes its link good; never shown to staff once there is a mail server. */
  readonly secret?: string | undefined;
}

/** The tenant as it appears in messages. */
export interface MailTenant {
  readonly name: string;
  readonly title: string;
  /** The configured origin, `https://NAME.DOMAIN[:PORT]`. */
  readonly url: string;
}

export interface MailSummary {
  readonly mailId: MailId;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly kind: MailKind;
  readonly state: MailState;
  /** Undefined: the tenant's key is destroyed, so nobody can tell. */
  readonly to: string | undefined;
  readonly subject: string | undefined;
  readonly createdAt: Date;
  readonly attempts: number;
  /** Of a queued one. */
  readonly nextAttemptAt: Date | undefined;
  readonly sentAt: Date | undefined;
  /** Why the last attempt failed, or why it is held. */
  readonly problem: string | undefined;
  /** It may be sent now, or again. */
  readonly maySend: boolean;
}

export interface MailMessage extends MailSummary {
  /** Undefined once it is sent: its text is forgotten. */
  readonly text: string | undefined;
  /** The link in it is not shown, because a mail server brings it to whom it belongs. */
  readonly isMasked: boolean;
}
