import { mailErrors } from './errors.ts';
import { type MailOrder, mailKinds } from './types.ts';

const maxAddressBytes = 254;
const fieldsOf: Record<MailOrder['kind'], readonly string[]> = {
  invitation: ['name', 'invitedBy', 'token', 'expiresAt'],
  password_reset: ['name', 'token', 'expiresAt'],
  password_changed: ['name', 'at', 'address', 'browser'],
  password_was_reset: ['name', 'at', 'address', 'browser'],
  new_sign_in: ['name', 'at', 'address', 'browser'],
  session_replayed: ['name', 'at', 'address', 'browser'],
  second_factor_enrolled: ['name', 'at', 'address', 'browser'],
  second_factor_removed: ['name', 'at', 'address', 'browser'],
  second_factor_reset: ['name', 'at', 'address', 'browser'],
  second_factor_guessed: ['name', 'at', 'address', 'browser'],
  recovery_code_used: ['name', 'at', 'address', 'browser'],
  recovery_codes_replaced: ['name', 'at', 'address', 'browser'],
  passkey_added: ['name', 'at', 'address', 'browser'],
  passkey_removed: ['name', 'at', 'address', 'browser'],
  passkey_copied: ['name', 'at', 'address', 'browser'],
  api_token_created: ['name', 'at', 'address', 'browser'],
};
const momentShape = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const shapes: Readonly<Record<string, { readonly max: number; readonly shape?: RegExp; readonly required?: true }>> = {
  name: { max: 200 },
  invitedBy: { max: 200 },
  token: { max: 100, shape: /^[A-Za-z0-9_-]{20,}$/, required: true },
  expiresAt: { max: 40, shape: momentShape, required: true },
  at: { max: 40, shape: momentShape, required: true },
  address: { max: 64, shape: /^[0-9a-fA-F.:%\w]+$/ },
  browser: { max: 300 },
};

/** A message to order, from a gateway that faces the internet: exactly the fields of its kind, bounded, one line each. Throws FH_MAIL_REFUSED. */
export function parseMailOrder(value: unknown): MailOrder {
  if (typeof value !== 'object' || value === null) throw refused('it is no object');
  const { kind, to, ...rest } = value as Record<string, unknown>;
  if (!mailKinds.some((each) => each === kind)) throw refused('its kind is unknown');
  const fields = fieldsOf[kind as MailOrder['kind']];
  for (const name of Object.keys(rest)) if (!fields.includes(name)) throw refused('it has a field too many');
  for (const name of fields) {
    const { max, shape, required } = shapes[name]!;
    const given = rest[name];
    if (given === undefined && !required) continue;
    if (typeof given !== 'string' || given.length > max || !isOneLine(given) || shape?.test(given) === false)
      throw refused(`its ${name} is malformed`);
    if (shape === momentShape && Number.isNaN(Date.parse(given))) throw refused(`its ${name} is no moment`);
  }
  return { ...rest, kind, to: parseRecipient(to) } as MailOrder;
}

/** Identity has parsed it already (src/identity/users/email.ts); here it is only kept from meaning more than one address to a mail server. */
function parseRecipient(value: unknown): string {
  if (typeof value !== 'string' || !/^[^\s@"(),:;<>[\]\\\p{C}]+@[^\s@"(),:;<>[\]\\\p{C}]+$/u.test(value))
    throw refused('its address is malformed');
  if (Buffer.byteLength(value) > maxAddressBytes) throw refused('its address is too long');
  return value;
}

function isOneLine(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
}

/** Never quotes what was given: it may hold a token. */
function refused(detail: string) {
  return mailErrors.FH_MAIL_REFUSED({ detail });
}
