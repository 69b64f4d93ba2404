/**
 * mail: messages to users of tenants: written in fixed words, sealed under the tenant's key in the control database, sent by SMTP with retries; without a
 * mail server they are kept and read in the console.
 * Invariants: the words and the origin of every link are control's, a gateway names only kind and facts; text and recipient are sealed for their own row;
 * an attempt is counted before it begins, and a message keeps its Message-ID; nothing goes out for a tenant that is not active or was renamed, and nothing by
 * itself after the installation was restored; a sent text is forgotten.
 * Called by: main (outbox, sender), which lends `QueueMail` to identity. Stands beside the other features and imports none of them.
 */
export { mailErrors } from './errors.ts';
export { createLetterBox } from './letter-box.ts';
export { createOutbox, type Outbox } from './outbox.ts';
export { createMailSender, type MailSender } from './sender.ts';
export { createDelivery, type Deliver, parseSmtpServer, type SmtpServer } from './smtp.ts';
export { deleteOldMail, holdAll as holdAllMail } from './sql.ts';
export type { MailMessage, MailOrder, MailState, MailSummary, QueueMail } from './types.ts';
export { mailStates } from './types.ts';
