import { apiFetch } from '../../design/index.ts';

export const mailStates = ['kept', 'queued', 'sending', 'sent', 'failed', 'held'] as const;
export type MailState = (typeof mailStates)[number];

export interface Mail {
  readonly mailId: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly kind: string;
  readonly state: MailState;
  /** Missing: the tenant's key is destroyed. */
  readonly to?: string | null;
  readonly subject?: string | null;
  readonly createdAt: string;
  readonly attempts: number;
  readonly nextAttemptAt?: string | null;
  readonly sentAt?: string | null;
  readonly problem?: string | null;
  readonly maySend: boolean;
}

export interface OpenedMail extends Mail {
  /** Missing once it is sent. */
  readonly text?: string | null;
  readonly isMasked: boolean;
}

export interface MailPage {
  readonly mail: readonly Mail[];
  readonly nextBefore: string | null;
  readonly isConfigured: boolean;
}

export function fetchMail(
  query: { state?: string | undefined; before?: string },
  signal: AbortSignal,
): Promise<MailPage> {
  const search = new URLSearchParams();
  if (query.state) search.set('state', query.state);
  if (query.before) search.set('before', query.before);
  return apiFetch<MailPage>(`/api/mail?${search}`, { signal });
}

/** Reading leaves a mark in the audit log, so it is asked for by an act and never ahead of time. */
export function openMail(mailId: string): Promise<OpenedMail> {
  return apiFetch<OpenedMail>(`/api/mail/${mailId}/open`, { method: 'POST' });
}

export function sendMail(mailId: string): Promise<Mail> {
  return apiFetch<Mail>(`/api/mail/${mailId}/send`, { method: 'POST' });
}
