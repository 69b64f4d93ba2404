/** docs/host-your-app.md, followed literally: its files are written and its commands run in the order of the page, and what it says that they print is printed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Freehold, repository } from './harness.ts';

let home: string;
let freehold: Freehold;
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'fh-home-'));
  freehold = await Freehold.start();
});
after(async () => {
  await freehold?.stop();
  rmSync(home, { recursive: true, force: true });
});

interface Command {
  readonly line: string;
  /** Lines that must be in what it prints. */
  readonly prints: readonly string[];
}
type Act = { readonly file: string; readonly content: string } | Command;

/** A block is a file when the paragraph before it begins with its path, and a session in a terminal when its lines begin with `$`. */
function readPage(page: string): Act[] {
  return [...page.matchAll(/(?:^`~\/([^`]+)`[^\n]*\n\n)?^```\w*\n([\s\S]*?)^```$/gm)].flatMap(
    ([, file, text = '']): Act[] => {
      if (file) return [{ file, content: text }];
      return text
        .split(/^\$ /m)
        .filter((part) => part.trim() !== '')
        .map((part) => {
          const [line = '', ...prints] = part.trimEnd().split('\n');
          return { line, prints };
        });
    },
  );
}

/** As somebody types it in the folder of Freehold, whose installation is the one of this test. */
function type(line: string): Promise<{ code: number; text: string }> {
  const typed = line.replaceAll(':8443', `:${freehold.port}`);
  const env = { PATH: process.env.PATH, HOME: home, FREEHOLD_DATA: freehold.dataDir };
  return new Promise((resolve) => {
    execFile('/bin/sh', ['-c', typed], { cwd: repository, env, timeout: 120_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, text: `${stdout}${stderr}` }),
    );
  });
}

test('hosting an app, as the page says', async () => {
  const acts = readPage(readFileSync(join(repository, 'docs/host-your-app.md'), 'utf8'));
  const commands = acts.filter((act) => 'line' in act);
  assert.ok(commands.length >= 15 && acts.length - commands.length >= 7, 'the page is read');
  for (const act of acts)
    if ('file' in act) {
      mkdirSync(dirname(join(home, act.file)), { recursive: true });
      writeFileSync(join(home, act.file), act.content);
    } else {
      const { code, text } = await type(act.line);
      assert.equal(code, 0, `${act.line}\n${text}${freehold.readTroubles()}`);
      for (const expected of act.prints)
        assert.ok(text.includes(expected), `${act.line}\nprints no "${expected}":\n${text}`);
    }
});
