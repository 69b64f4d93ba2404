import type { KitId } from '#src/kernel/index.ts';
import { idFrom, randomBytes } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { formatGroups, groupCount, parseGroups } from './kit-groups.ts';
import { createSealer, keyBytes } from './sealer.ts';
import type { RecoveryKit } from './types.ts';

/**
 * The recovery kit: a secret of 256 bits on paper, and the root key sealed under it in every region (`kits/<kitId>`). The id is derived from the
 * secret, so typing the secret is enough to find the object. docs/backup-format.md has the derivation.
 */
export function makeRecoveryKit(rootKey: Uint8Array, facts: { installationId: string; date: Date }): RecoveryKit {
  const secret = randomBytes(keyBytes);
  const kitId = kitIdOf(secret);
  const sealedRoot = sealerOf(secret).seal(rootKey, contextOf(kitId));
  return { kitId, text: page({ ...facts, kitId, groups: formatGroups(secret, checksumOf(secret)) }), sealedRoot };
}

/** Which kit this is, to find its object. FH_RECOVERY_KIT_MISTYPED names the groups to look at. */
export function parseRecoveryKit(text: string): { kitId: KitId } {
  return { kitId: kitIdOf(secretIn(text)) };
}

/**
 * The page (or only its groups, in any case, with or without their numbers) and the object `kits/<kitId>` → root key.
 * FH_RECOVERY_KIT_MISTYPED for the text, FH_KEY_UNSEAL when the object is of another kit or was changed.
 */
export function openRecoveryKit(text: string, sealedRoot: Uint8Array): Buffer {
  const secret = secretIn(text);
  return sealerOf(secret).open(sealedRoot, contextOf(kitIdOf(secret)));
}

const beforeSecret = /^\W*secret\b/i;
const afterSecret = /^\W*end of the secret\b/i;
/** Numbers of groups, as the page prints them. */
const groupNumber = /^\d{1,2}$/;

function secretIn(text: string): Buffer {
  const lines = text.split(/\r?\n/);
  const start = lines.findIndex((line) => beforeSecret.test(line)) + 1;
  const end = lines.findIndex((line) => afterSecret.test(line));
  const words = lines
    .slice(start, end < start ? undefined : end)
    .flatMap((line) => line.split(/[^\p{L}\p{N}]+/u))
    .filter((word) => word !== '' && !groupNumber.test(word));
  return parseGroups(words, checksumOf);
}

function page(facts: { installationId: string; kitId: KitId; date: Date; groups: readonly string[] }): string {
  const numbered = facts.groups.map((group, index) => `${String(index + 1).padStart(4)} ${group}`);
  const rows: string[] = [];
  for (let at = 0; at < groupCount; at += 4) rows.push(numbered.slice(at, at + 4).join('  '));
  return `FREEHOLD RECOVERY KIT

Installation   ${facts.installationId}
Kit            ${facts.kitId}
Made on        ${facts.date.toISOString().slice(0, 10)}

This page and one region of backups are enough to rebuild the installation, all tenants and all
files, on an empty machine. Without this page, when the machine and its key store are lost, no
backup can be read by anybody.

Whoever has this page and a region can read everything. Print it, keep it in two places that do
not burn together, apart from the backups, and on no computer.

Secret (${groupCount} groups; the last character of each finds mistakes in typing)

${rows.join('\n')}

End of the secret. No difference between upper and lower case; there is no letter I, L, O or U.
A new kit replaces this one. Destroy this page then: it would still open an old copy of a region.
`;
}

const kitIdOf = (secret: Uint8Array): KitId => idFrom('kit', deriveKey(secret, ['recovery-kit', 'id']));
const checksumOf = (secret: Uint8Array): Buffer => deriveKey(secret, ['recovery-kit', 'checksum']);
const sealerOf = (secret: Uint8Array) => createSealer(deriveKey(secret, ['recovery-kit', 'seal']));
const contextOf = (kitId: KitId): string => `recovery-kit ${kitId}`;
