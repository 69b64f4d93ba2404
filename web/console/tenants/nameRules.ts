/**
 * The rules of tenant names, said while typing. The server has the last word (it also knows reserved and held-back names);
 * its rules are in the module of tenants.
 */
export function whyNotAName(name: string): string | undefined {
  if (/[A-Z]/.test(name)) return 'Use small letters only.';
  if (/[^a-z0-9-]/.test(name)) return 'Use letters a to z, digits and hyphens only.';
  if (name.startsWith('-') || name.endsWith('-')) return 'A hyphen cannot be first or last.';
  if (name.includes('--')) return 'Two hyphens in a row are not allowed.';
  if (name.length > 40) return `${name.length} characters are too many; 40 are allowed.`;
  if (name.length > 0 && name.length < 3) return 'At least 3 characters are needed.';
  if (/^[0-9]+$/.test(name)) return 'Digits alone read like part of an address. Add a letter.';
  return undefined;
}
