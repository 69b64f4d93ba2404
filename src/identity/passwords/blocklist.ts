import { expectedPhrases } from './expected-phrases.ts';

let loaded: Promise<ReadonlySet<string>> | undefined;

/**
 * Common and expected passwords, lower case: 49,233 of the dictionary package and our own phrases. No network is asked, and a list that
 * cannot be read refuses every new password, because the promise then rejects.
 */
export function loadBlocklist(): Promise<ReadonlySet<string>> {
  loaded ??= import('@zxcvbn-ts/language-common').then(({ dictionary }) => {
    const common = dictionary['passwords-common'];
    if (common.length < 10_000) throw new Error('the list of common passwords is incomplete');
    return new Set([...common.map((password) => password.toLowerCase()), ...expectedPhrases]);
  });
  return loaded;
}
