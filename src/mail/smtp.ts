import { mailErrors } from './errors.ts';
import type { Letter, MailId } from './types.ts';

/** Where messages go. Holds a password: never logged, never in an error. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** `tls`: from the first byte; `starttls`: before anything is said; `plain`: only on this machine. */
  readonly security: 'tls' | 'starttls' | 'plain';
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Address of the sender, `no-reply@example.com`. */
  readonly from: string;
  /** Certificate authorities in PEM instead of those that Node.js knows. */
  readonly ca?: string;
}

/** What a message became. `refused`: the server will never take it (a 5xx reply to this recipient or text). */
export type Delivery =
  | { readonly outcome: 'sent' }
  | { readonly outcome: 'refused' | 'later'; readonly problem: string };

/** Brings one message to the mail server; never rejects for what the server or the network did. */
export type Deliver = (mailId: MailId, createdAt: Date, letter: Letter) => Promise<Delivery>;

/**
 * `smtp://USER:PASSWORD@HOST:PORT` (STARTTLS is required, except on this machine) or `smtps://…`. Throws FH_MAIL_SETTING_INVALID, which quotes nothing of it.
 */
export function parseSmtpServer(urlText: string, from: string | undefined): SmtpServer {
  const refuse = (detail: string) =>
    mailErrors.FH_MAIL_SETTING_INVALID({
      detail,
      hint: 'Write FREEHOLD_SMTP_URL=smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST:587, and FREEHOLD_MAIL_FROM=no-reply@example.com.',
    });
  const url = URL.canParse(urlText) ? new URL(urlText) : undefined;
  if (!url || !/^smtps?:$/.test(url.protocol) || !url.hostname)
    throw refuse('FREEHOLD_SMTP_URL: it must begin with smtp:// or smtps:// and name a host');
  if (url.pathname.length > 1 || url.search || url.hash) throw refuse('FREEHOLD_SMTP_URL: nothing follows the host');
  if (!from || !/^[\x21-\x7e]+@[A-Za-z0-9.-]+$/.test(from) || /[,;:<>()[\]\\"]/.test(from))
    throw refuse('FREEHOLD_MAIL_FROM: it is no plain e-mail address');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isTls = url.protocol === 'smtps:';
  const isLocal = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
  const decode = (text: string): string | undefined => {
    try {
      return decodeURIComponent(text) || undefined;
    } catch {
      throw refuse('FREEHOLD_SMTP_URL: user or password are not percent-encoded');
    }
  };
  return {
    host,
    port: Number(url.port || (isTls ? 465 : isLocal ? 25 : 587)),
    security: isTls ? 'tls' : isLocal ? 'plain' : 'starttls',
    user: decode(url.username),
    password: decode(url.password),
    from,
  };
}

/**
 * One connection per message: nothing is left open, and one message's trouble is not another's. `timeoutMs` is for a server that is silent (default: a minute);
 * `attemptMs` for one attempt as a whole (default: two minutes), because a server that says a little now and then is never silent.
 */
export function createDelivery(
  server: SmtpServer,
  { timeoutMs = 60_000, attemptMs = 120_000 }: { timeoutMs?: number; attemptMs?: number } = {},
): Deliver {
  const { host, port, security, user, password, from, ca } = server;
  const messageDomain = from.slice(from.lastIndexOf('@') + 1);
  return async (mailId, createdAt, letter) => {
    // Only where there is a mail server: everybody imports `mail`.
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({
      host,
      port,
      secure: security === 'tls',
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'plain',
      ...(user !== undefined && { auth: { user, pass: password ?? '' } }),
      tls: { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      // A text is a text, whatever it looks like.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const signal = AbortSignal.timeout(attemptMs);
    try {
      await transport.sendMail({
        signal,
        messageId: `<${mailId}@${messageDomain}>`,
        date: createdAt,
        from: { name: letter.fromName, address: from },
        to: { name: '', address: letter.to },
        envelope: { from, to: [letter.to] },
        subject: letter.subject,
        text: letter.text,
        html: letter.html,
        // RFC 3834: nobody's absence note comes back.
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
      });
      return { outcome: 'sent' };
    } catch (error) {
      if (signal.aborted) return judge({ code: 'ETIMEDOUT' });
      return judge(error as SmtpError);
    } finally {
      transport.close();
    }
  };
}

/** nodemailer's error; `command` is the one that `responseCode` answers. */
interface SmtpError {
  readonly code?: string;
  readonly command?: string;
  readonly responseCode?: number;
}

/**
 * Of an error only what may be shown and kept: servers quote addresses, and sometimes what was said to them. Final is only a 5xx to the recipient or to the text:
 * one to MAIL FROM or to the DATA command (no authentication, a used-up quota, a wrong sender; RFC 5321, 4.3.2) meets every message until the operator mends it.
 */
function judge({ code, command, responseCode }: SmtpError): Delivery {
  if (responseCode !== undefined && (code === 'EENVELOPE' || code === 'EMESSAGE')) {
    const isRecipient = command === 'RCPT TO';
    const isAboutMessage = isRecipient || code === 'EMESSAGE';
    const subject = isRecipient ? 'the address' : code === 'EMESSAGE' ? 'the message' : 'the sender';
    return {
      outcome: isAboutMessage && responseCode >= 500 && responseCode < 600 ? 'refused' : 'later',
      problem: `The mail server answered ${responseCode} to ${subject}.`,
    };
  }
  const known: Record<string, string> = {
    EAUTH: 'The mail server did not accept user and password.',
    ETLS: 'No encrypted connection to the mail server could be made.',
    ECONNECTION: 'The mail server could not be reached.',
    ESOCKET: 'The connection to the mail server could not be made or was lost.',
    ETIMEDOUT: 'The mail server did not answer in time.',
    EDNS: 'The name of the mail server could not be resolved.',
    EENVELOPE: 'The mail server did not accept the address.',
  };
  return { outcome: 'later', problem: known[code ?? ''] ?? 'The message could not be handed to the mail server.' };
}
