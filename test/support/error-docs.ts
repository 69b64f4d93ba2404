/** docs/errors.md from the code: `node test/support/error-docs.ts` writes it, test/errors.test.ts compares. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCatalogue } from '#src/kernel/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const errorsPage = `${root}docs/errors.md`;

export async function renderErrorDocs(): Promise<string> {
  const codesByFile = new Map<string, string[]>();
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    if (file.endsWith('.test.ts') || !readFileSync(`${root}${file}`, 'utf8').includes('defineErrors(')) continue;
    await import(`${root}${file}`);
    codesByFile.set(
      file,
      [...readFileSync(`${root}${file}`, 'utf8').matchAll(/^\s*(FH_[A-Z0-9_]+):/gm)].map((match) => match[1]!),
    );
  }
  const sections = [...codesByFile]
    .filter(([, codes]) => codes.length > 0)
    .map(([file, codes]) => {
      const rows = codes.sort().map((code) => {
        const spec = errorCatalogue.get(code);
        if (!spec) throw new Error(`${code} is written in ${file} and defined nowhere`);
        return `| \`${code}\` | ${spec.status} | ${spec.title} | ${spec.hint ?? ''} |`;
      });
      return `## ${file.split('/')[1]}\n\n| code | status | what happened | what to do |\n|---|---|---|---|\n${rows.join('\n')}\n`;
    });
  return `# Errors\n\nEvery refusal is a problem document (RFC 9457, \`application/problem+json\`) with \`type\`, \`title\`, \`status\`, \`detail\`, \`hint\`, \`requestId\`,
and a stable \`code\`; forms add \`fields\`. Codes are never reused. An error without a code of its own is \`FH_INTERNAL\` and shows nothing of what
happened inside. Apps add codes of their own, which begin with the app's name. This page is written from the code (\`node test/support/error-docs.ts\`).\n\n${sections.join('\n')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(errorsPage, await renderErrorDocs());
