/** docs/asvs.md from the ledger: `node test/support/asvs-docs.ts` writes it, test/asvs.test.ts compares. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type AsvsRequirement, asvsLedger, asvsRequirements, findAsvsRow } from '../asvs/index.ts';
import type { AsvsRow, Verdict } from '../asvs/types.ts';

export const asvsPage = fileURLToPath(new URL('../../docs/asvs.md', import.meta.url));

const verdicts: readonly Verdict[] = ['met', 'partly', 'not-met', 'not-applicable'];
const words: Readonly<Record<Verdict, string>> = {
  met: 'met',
  partly: 'partly',
  'not-met': 'not met',
  'not-applicable': 'not applicable',
};

/** Rows up to level 2 that are met, by what shows it; not applicable ones apart. */
export function countAsvsProofs() {
  const rows = asvsRequirements.filter(({ level }) => level <= 2).map(({ id }) => findAsvsRow(id)!);
  const metRows = rows.filter(({ verdict }) => verdict === 'met');
  return {
    all: rows.length,
    byTest: metRows.filter(({ by }) => by === undefined).length,
    byDesign: metRows.filter(({ by }) => by === 'design').length,
    byReview: metRows.filter(({ by }) => by === 'review').length,
    notApplicable: rows.filter(({ verdict }) => verdict === 'not-applicable').length,
    open: rows.filter(({ verdict }) => verdict === 'partly' || verdict === 'not-met').length,
  };
}

export function summariseAsvs(): string {
  const { all, byTest, byDesign, byReview, notApplicable, open } = countAsvsProofs();
  return `Levels 1 and 2: ${byTest} of ${all} by test, ${byDesign} by design, ${byReview} by review, ${notApplicable} not applicable, ${open} not met or partly`;
}

export function renderAsvs(): string {
  const chapters = Map.groupBy(asvsRequirements, ({ chapter }) => chapter);
  return `# OWASP ASVS 5.0

Every requirement of the OWASP Application Security Verification Standard 5.0.0, what is to be said of it here, and the test that shows it. *By design*: the shape of the
code leaves no other way. *By review*: somebody has read the code, the pages or the documents for it. *Partly* and *not met* say what is missing. Whoever
operates Freehold is meant where a requirement is about an installation: certificates, the network, the machine.

Written from \`test/asvs/\` by \`node test/support/asvs-docs.ts\`; \`test/asvs.test.ts\` holds it against the tests that it names, and fails when one of them is not there. Facts that
several rows rest on: [security.md](security.md).

Ids and texts of the requirements: [OWASP ASVS 5.0.0](https://github.com/OWASP/ASVS), © OWASP Foundation, [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/), unchanged. This page, which holds
them, is under the same licence.

| level | ${verdicts.map((verdict) => words[verdict]).join(' | ')} | all |
|---|${verdicts.map(() => '---|').join('')}---|
${[1, 2, 3].map(renderCounts).join('\n')}

${summariseAsvs()}.

## What is missing for level 2

${asvsRequirements.filter(isMissing).map(renderMissing).join('\n')}

${[...chapters.values()].map(renderChapter).join('\n\n')}
`;
}

function renderCounts(wanted: number): string {
  const rows = asvsRequirements.filter(({ level }) => level === wanted).map(({ id }) => findAsvsRow(id));
  const counts = verdicts.map((verdict) => rows.filter((row) => row?.verdict === verdict).length);
  return `| ${wanted} | ${counts.join(' | ')} | ${rows.length} |`;
}

function isMissing({ id, level }: AsvsRequirement): boolean {
  const verdict = findAsvsRow(id)?.verdict;
  return level <= 2 && (verdict === 'partly' || verdict === 'not-met');
}

function renderMissing({ id, level, sectionName }: AsvsRequirement): string {
  const { verdict, reason } = findAsvsRow(id)!;
  return `- **${id}** (level ${level}, ${sectionName}), ${words[verdict]}: ${reason}`;
}

function renderChapter(requirements: readonly AsvsRequirement[]): string {
  const { chapter, chapterName } = requirements[0]!;
  const rows = requirements.map((requirement) => {
    const row = findAsvsRow(requirement.id);
    if (!row) return `| ${requirement.id} | ${requirement.level} | ${cell(requirement.text)} | **no verdict** | | |`;
    return `| ${row.id} | ${requirement.level} | ${cell(requirement.text)} | **${words[row.verdict]}** | ${cell(row.reason)} | ${renderProof(row)} |`;
  });
  return `## ${chapter} ${chapterName}\n\n| id | level | requirement | here | why | shown by |\n|---|---|---|---|---|---|\n${rows.join('\n')}`;
}

function renderProof({ tests, by }: AsvsRow): string {
  const titles = tests.map(({ file, title }) => `${cell(title)} (\`${file}\`)`);
  return [...titles, ...(by ? [by] : [])].join('<br>');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll(/\s+/g, ' ');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(asvsPage, renderAsvs());
  process.stdout.write(`${asvsLedger.length} rows. ${summariseAsvs()}\n`);
}
