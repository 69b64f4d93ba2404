import type { PasswordContext } from './password-rules.ts';

/** Signs that people put in the place of letters; `1` and `!` stand for two letters each. */
const substitutes: Readonly<Record<string, string>> = {
  '0': 'o',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '€': 'e',
  '+': 't',
  '(': 'c',
};

/** The readings of a password that are compared with lists: as typed in lower case without accents, and with substitutes read as letters. */
export function foldings(normalised: string): readonly string[] {
  const plain = normalised.toLowerCase().normalize('NFKD').replaceAll(/\p{M}/gu, '');
  // Digits at the ends are padding and not letters, as in `password12345`, so both readings are kept.
  const inner = /^[^\p{L}]*(.*?)[^\p{L}]*$/su.exec(plain)?.[1] ?? '';
  const read = (text: string, one: 'i' | 'l') =>
    text.replaceAll(/./gsu, (sign) =>
      sign === '1' || sign === '!' || sign === '|' ? one : (substitutes[sign] ?? sign),
    );
  return [...new Set([plain, read(inner, 'i'), read(inner, 'l'), read(plain, 'i'), read(plain, 'l')])];
}

export function onlyLettersAndDigits(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** Without digits and signs at both ends. */
export function withoutPadding(text: string): string {
  return text.replaceAll(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
}

/** Words that somebody who knows the user would put into the password; longest first, so that a part does not spoil the whole. */
export function expectedParts({ email = '', name = '', tenant = [] }: PasswordContext): readonly string[] {
  const sources = ['freehold', 'password', 'passwort', email, name, ...tenant].flatMap((text) =>
    foldings(text.normalize('NFKC')),
  );
  const words = sources.flatMap((text) => [text, onlyLettersAndDigits(text), ...text.split(/[^\p{L}\p{N}]+/u)]);
  // Two letters are in every second word; a name of three counts.
  return [...new Set(words.filter((word) => word.length >= 3))].sort((a, b) => b.length - a.length);
}

const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  'yxcvbnm',
  'azertyuiop',
  'qsdfghjklm',
  'wxcvbn',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  '!@#$%^&*()_+',
];
const neighbours = new Set(
  rows.flatMap((row) => [...row].slice(1).flatMap((sign, index) => [row[index]! + sign, sign + row[index]!])),
);
const minRunLength = 4;

/** What is left when runs of four or more (abcd, 4321, qwer, aaaa) count as one character, and so do years and removed parts. */
export function withoutPatterns(text: string): string {
  const signs = [...text.replaceAll(/\n/g, '').replaceAll(/(19|20)\d\d/g, '#')];
  let rest = '';
  for (let start = 0; start < signs.length; ) {
    let end = start + 1;
    const step = stepOf(signs[start]!, signs[end]);
    while (step && end < signs.length && stepOf(signs[end - 1]!, signs[end]) === step) end++;
    const isRun = end - start >= minRunLength;
    rest += isRun ? signs[start] : signs.slice(start, Math.max(start + 1, end - 1)).join('');
    // The last sign of what is no run may begin one.
    start = isRun ? end : Math.max(start + 1, end - 1);
  }
  return rest;
}

function stepOf(first: string, second: string | undefined): 'same' | 'next' | undefined {
  if (second === undefined) return undefined;
  if (first === second) return 'same';
  return neighbours.has(first + second) ? 'next' : undefined;
}
