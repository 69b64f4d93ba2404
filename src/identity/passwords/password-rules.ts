import { identityErrors } from '../errors.ts';
import { loadBlocklist } from './blocklist.ts';
import type { BreachedPasswords } from './breached-passwords.ts';
import { maxPasswordBytes, normalisePassword } from './password-hash.ts';
import { expectedParts, foldings, onlyLettersAndDigits, withoutPadding, withoutPatterns } from './password-shape.ts';

/** NIST SP 800-63B-4, 3.1.1.2: a password that is the only factor has at least 15 characters. */
export const minPasswordLength = 15;
/** Fewer characters than this that nobody expects, and the password is no better than a short one. */
const minUnexpectedLength = 8;

/** What an attacker who knows the user would try first. */
export interface PasswordContext {
  readonly email?: string;
  readonly name?: string;
  /** Host label and title of the tenant. */
  readonly tenant?: readonly string[];
}

export type PasswordRule = 'too_short' | 'too_long' | 'not_text' | 'common' | 'breached' | 'context' | 'repetitive';

export interface PasswordVerdict {
  readonly accepted: boolean;
  /** 0 very weak … 4 strong; 2 and more are accepted. A hint for people, from the part that nobody expects. */
  readonly score: 0 | 1 | 2 | 3 | 4;
  /** The first is the one to mend first. */
  readonly problems: readonly { readonly rule: PasswordRule; readonly text: string; readonly fix: string }[];
}

/** What a new password has to keep. */
export interface PasswordRules {
  /** Throws FH_PASSWORD_LIST_UNREADABLE. */
  check(password: string, context: PasswordContext): Promise<PasswordVerdict>;
  /** The password as it is hashed, or FH_PASSWORD_REFUSED with the rule and the way to mend it; FH_PASSWORD_LIST_UNREADABLE. */
  parseNew(password: string, context: PasswordContext): Promise<string>;
}

/** `breached`: a list beside the one that is built in. */
export function createPasswordRules(breached?: BreachedPasswords): PasswordRules {
  const check = (password: string, context: PasswordContext) => checkPassword(password, context, breached);
  return { check, parseNew: async (password, context) => parseVerdict(password, await check(password, context)) };
}

/**
 * Judges a new password: length, whole-password blocklist, context, patterns; no composition rules, no expiry (NIST SP 800-63B-4).
 * Linear in the password, which is at most 1,024 bytes, so it may run on every key press without stalling a server.
 */
async function checkPassword(
  password: string,
  context: PasswordContext,
  breached: BreachedPasswords | undefined,
): Promise<PasswordVerdict> {
  if (Buffer.byteLength(password) > maxPasswordBytes)
    return refused('too_long', `It is longer than ${maxPasswordBytes} bytes.`, 'Use a shorter one.');
  const normalised = normalisePassword(password);
  if (normalised === undefined) return refused('not_text', 'It holds characters that are not text.', 'Type it anew.');
  const length = [...normalised].length;
  if (length < minPasswordLength)
    return refused(
      'too_short',
      `It has ${length} ${length === 1 ? 'character' : 'characters'}; ${minPasswordLength} are needed.`,
      'Use four or more words that have nothing to do with each other, or let your password manager make one.',
    );

  const blocklist = await loadBlocklist();
  const forms = foldings(normalised);
  if (forms.some((form) => isListed(form, blocklist)))
    return refused(
      'common',
      'It is among the passwords that attackers try first, with or without digits and signs around it.',
      'Use four or more words that have nothing to do with each other.',
    );

  const expected = expectedParts(context);
  const rests = forms.map((form) => expected.reduce((rest, part) => rest.replaceAll(part, '\n'), form));
  const isFromContext = rests.some((rest, index) => {
    if (rest === forms[index]) return false;
    const core = onlyLettersAndDigits(withoutPadding(rest));
    return unexpectedLength(core) < minUnexpectedLength || blocklist.has(core);
  });
  if (isFromContext)
    return refused(
      'context',
      'It is mostly made of your name, your e-mail address, your account or the word "freehold".',
      'Leave these out, or add several words that have nothing to do with them.',
    );

  const unexpected = Math.min(...rests.map((rest) => unexpectedLength(rest)));
  if (unexpected < minUnexpectedLength)
    return refused(
      'repetitive',
      'It repeats itself, or follows the alphabet, the digits or the keys of a keyboard.',
      'Use words or characters that do not follow from each other.',
    );
  // Last, because it costs most. As it was typed as well: that is how others have hashed it.
  if (
    breached &&
    ((await breached.includes(normalised)) || (password !== normalised && (await breached.includes(password))))
  )
    return refused(
      'breached',
      'It is among the passwords that were stolen somewhere and are known.',
      'Use one that you have never used anywhere, and change it wherever else you use this one.',
    );
  return { accepted: true, score: unexpected < 12 ? 2 : unexpected < 18 ? 3 : 4, problems: [] };
}

function parseVerdict(password: string, { problems }: PasswordVerdict): string {
  const problem = problems[0];
  if (problem)
    throw identityErrors.FH_PASSWORD_REFUSED({
      detail: problem.text,
      hint: problem.fix,
      fields: { password: `${problem.text} ${problem.fix}` },
    });
  return normalisePassword(password)!;
}

function refused(rule: PasswordRule, text: string, fix: string): PasswordVerdict {
  return {
    accepted: false,
    score: ['too_short', 'common', 'breached'].includes(rule) ? 0 : 1,
    problems: [{ rule, text, fix }],
  };
}

/** The whole password, or what is left without digits and signs around it, or the unit that it repeats; never a part of a phrase. */
function isListed(form: string, blocklist: ReadonlySet<string>): boolean {
  const compact = onlyLettersAndDigits(form);
  const bare = withoutPadding(compact);
  return [form, compact, bare, repeatedUnit(compact), repeatedUnit(bare)].some(
    (candidate) => candidate !== undefined && candidate.length >= 3 && blocklist.has(candidate),
  );
}

/** `passpass` → `pass`; undefined when nothing repeats. */
function repeatedUnit(text: string): string | undefined {
  const at = (text + text).indexOf(text, 1);
  return at > 0 && at < text.length ? text.slice(0, at) : undefined;
}

function unexpectedLength(text: string): number {
  const unit = repeatedUnit(text) ?? text;
  const rest = withoutPatterns(unit);
  // Few different characters are a pattern too, whatever their order.
  return Math.min(rest.length, new Set(rest).size * 3);
}
