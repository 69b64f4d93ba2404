/** docs/backup-faults.md from the catalogue: `node test/support/backup-fault-docs.ts` writes it, test/faults/backup-faults.test.ts compares. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { backupFaults, type FaultOutcome } from '../faults/backup-faults.ts';

export const backupFaultsPage = fileURLToPath(new URL('../../docs/backup-faults.md', import.meta.url));

export function summariseFaults(): string {
  const count = (outcome: FaultOutcome) => backupFaults.filter((fault) => fault.outcome === outcome).length;
  return `F01–F36: ${count('prevented')} prevented, ${count('detected')} detected, ${count('impossible')} impossible, ${count('open')} open`;
}

export function renderBackupFaults(): string {
  const rows = backupFaults.map(({ id, what, outcome, how, tests, missing }) => {
    const shown = tests.map(([file, title]) => `${cell(title)} (\`${file}\`)`).join('<br>');
    return `| ${id} | ${cell(what)} | **${outcome}** | ${cell(how)} | ${shown} | ${cell(missing ?? '')} |`;
  });
  return `# Faults of backups

What goes wrong with backups elsewhere, and what becomes of it here. *Prevented*: it can do no harm, by a design that a test injects it into.
*Detected*: shipping, a restore or the verification turns red and names the cause. *Impossible*: nothing here could have it. *Open*: not covered. The last column
says what is missing, also where the rest is covered.

One run makes them all, one after the other, on one system (a PostgreSQL cluster, a shipper into two regions, two tenants with the same ids, a base backup), and
compares what the product says with this page: \`./freehold test test/faults/backup-fault-run.test.ts\`. In between, the verification of the clean system must be green;
with \`FREEHOLD_SLOW_TESTS=1\` after each fault, and at least 50 times. It prints how many of them were prevented or noticed with their cause. The table names other tests
that make a fault in more ways, or show one part alone.

${summariseFaults()}.

| fault | what happens | here | how | shown besides by | missing |
|---|---|---|---|---|---|
${rows.join('\n')}

This page is written from \`test/faults/backup-faults.ts\` (\`node test/support/backup-fault-docs.ts\`); a test holds every title against the file that it names.
`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(backupFaultsPage, renderBackupFaults());
