import { createBreachedPasswords, createPasswordRules, type PasswordRules } from '#src/identity/index.ts';
import type { Config } from './config.ts';

/** Of new passwords, for tenants' users and for staff. */
export function passwordRulesOf({ breachedPasswords }: Config): PasswordRules {
  return createPasswordRules(breachedPasswords === undefined ? undefined : createBreachedPasswords(breachedPasswords));
}

/** Why no new password is taken just now; undefined: the list can be read by this process, or there is none. */
export async function findPasswordListFault({ breachedPasswords }: Config): Promise<string | undefined> {
  if (breachedPasswords === undefined) return undefined;
  return createBreachedPasswords(breachedPasswords)
    .includes('')
    .then(
      () => undefined,
      (error: Error) => `The list of breached passwords ${breachedPasswords} is of no use: ${error.message}`,
    );
}
