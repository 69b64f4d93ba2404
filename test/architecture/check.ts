import { posix } from 'node:path';
import { layers, longFileLines, longOnPurpose, neighbours, owners, tooLongFileLines } from './rules.ts';
import { type Import, lineOf, type ScannedFile, scanFile } from './scan.ts';

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  /** What is wrong and why the rule exists. */
  readonly text: string;
}

export interface TreeReport {
  readonly violations: readonly Finding[];
  /** Worth a look; does not fail. */
  readonly warnings: readonly Finding[];
}

type Rule = (file: ScannedFile, tree: ReadonlyMap<string, ScannedFile>) => Omit<Finding, 'path'>[];

/** Checks a tree given as path → text. */
export function checkTree(files: Readonly<Record<string, string>>): TreeReport {
  const tree = new Map(Object.entries(files).map(([path, text]) => [path, scanFile(path, text)]));
  const violations: Finding[] = [];
  const warnings: Finding[] = [];
  for (const file of tree.values()) {
    for (const rule of rules) for (const finding of rule(file, tree)) violations.push({ path: file.path, ...finding });
    if (isCode(file) && file.lineCount > longFileLines && file.lineCount <= tooLongFileLines)
      warnings.push({ path: file.path, line: 1, rule: 'long-file', text: `${file.lineCount} lines` });
  }
  return { violations, warnings };
}

const isCode = (file: ScannedFile) => /\.tsx?$/.test(file.path);
/** Tests may reach into anything: they wire real parts together and start processes. */
const isTest = (path: string) => /\.(test|contract|fixture)\.tsx?$/.test(path) || /^(test|bench)\//.test(path);
const folderOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1];
const layerOf = (folder: string) => layers.findIndex((layer) => layer.folders.includes(folder));
/** A page runs in a browser: the folders of `web/` (files beside them build it) and the `web/` folder of an app. */
const isPage = (path: string) => /^(web\/[^/]+|apps\/[^/]+\/web)\//.test(path);
const appOf = (path: string) => /^apps\/([^/]+)\//.exec(path)?.[1];

/** Path inside the repository; undefined: a package. */
function targetOf(file: ScannedFile, { specifier }: Import): string | undefined {
  if (specifier.startsWith('#src/')) return specifier.slice(1);
  if (specifier === '#sdk') return 'apps/sdk/index.ts';
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(file.path), specifier));
  return undefined;
}

const findings = (file: ScannedFile, rule: string, judge: (target: string, found: Import) => string | undefined) =>
  isTest(file.path)
    ? []
    : file.imports.flatMap((found) => {
        const target = targetOf(file, found);
        const text = target && !(isTest(target) && rule !== 'one-way') && judge(target, found);
        return text ? [{ line: found.line, rule, text }] : [];
      });

const oneWay: Rule = (file) => {
  const from = folderOf(file.path);
  if (!from) return [];
  if (layerOf(from) < 0)
    return [{ line: 1, rule: 'one-way', text: `src/${from} has no layer: give it one in test/architecture/rules.ts` }];
  return findings(file, 'one-way', (target, found) => {
    if (isTest(target)) return `${target} is a test: what runs in production does not depend on tests`;
    const to = folderOf(target);
    if (!to || to === from) return undefined;
    const [above, below] = [layerOf(from), layerOf(to)];
    if (below > above) return undefined;
    if (neighbours.some((pair) => pair.from === from && pair.to === to)) return undefined;
    // The shape of another feature's port may be named; at run time nothing of it is there.
    if (below === above && found.isTypeOnly && target.endsWith('/types.ts')) return undefined;
    const reason = layers[below]?.reason ?? 'it has no layer';
    return `src/${from} must not import src/${to} (${to}: ${reason})`;
  });
};

const frontDoors: Rule = (file) =>
  findings(file, 'front-door', (target) => {
    const to = folderOf(target);
    if (!to || to === folderOf(file.path)) return undefined;
    return /^src\/[^/]+\/(index|types)\.ts$/.test(target)
      ? undefined
      : `import src/${to}/index.ts (or types.ts) instead of ${target}: what is inside a folder is its own business`;
  });

const apart: Rule = (file) =>
  findings(file, 'apart', (target, found) => {
    const app = appOf(file.path);
    if (isPage(file.path)) {
      if (/^web\//.test(target) || (app && target.startsWith(`apps/${app}/web/`))) return undefined;
      if (app && found.isTypeOnly && target.startsWith(`apps/${app}/`)) return undefined;
      return `a page must not import ${target}: it runs in the browser and knows only the API`;
    }
    if (app) {
      if (target === 'apps/sdk/index.ts' || (target.startsWith(`apps/${app}/`) && !isPage(target))) return undefined;
      return `an app must not import ${target}: it knows the SDK, its own files and packages, so that it runs under any host`;
    }
    if (!folderOf(file.path) || folderOf(target)) return undefined;
    if (target === 'apps/sdk/index.ts') return undefined;
    if (appOf(target) && folderOf(file.path) === 'main' && !isPage(target)) return undefined;
    return `src must not import ${target}: apps are wired in main, pages are built files`;
  });

const singleOwners: Rule = (file) => {
  const isServer = (/^src\//.test(file.path) || appOf(file.path)) && !isPage(file.path);
  if (!isServer || isTest(file.path)) return [];
  return owners.flatMap((owner) => {
    if (owner.where.some((folder) => file.path.startsWith(folder))) return [];
    const lines = file.imports
      .filter((found) => !found.isTypeOnly)
      .filter((found) =>
        owner.modules?.some(
          ({ name, names }) =>
            (found.specifier === name || found.specifier.startsWith(`${name}/`)) &&
            (!names || found.names.some((imported) => names.test(imported))),
        ),
      )
      .map((found) => found.line);
    const used = owner.code?.exec(file.code);
    if (used) lines.push(lineOf(file.text, used.index));
    return lines.map((line) => ({
      line,
      rule: 'single-owner',
      text: `${owner.what} only in ${owner.where.join(', ')}: ${owner.reason}`,
    }));
  });
};

const noDrawers: Rule = (file) =>
  /(?:^|\/)(utils?|helpers?|common|misc)(?:\/|\.tsx?$)/.test(file.path)
    ? [{ line: 1, rule: 'no-drawers', text: 'a folder or file is named after what it is about, not after being handy' }]
    : [];

const purpose: Rule = (file, tree) => {
  const folder = folderOf(file.path);
  if (!folder) return [];
  const index = tree.get(`src/${folder}/index.ts`);
  if (!index) {
    // Processes and commands are started, not imported.
    const isFirst = [...tree.keys()].find((path) => folderOf(path) === folder) === file.path;
    if (!isFirst || layers[0]!.folders.includes(folder)) return [];
    return [{ line: 1, rule: 'purpose', text: `src/${folder} has no index.ts` }];
  }
  if (file !== index || /^\/\*\*[\s*]*\S[\s\S]{40,}?\*\//.test(file.text)) return [];
  return [{ line: 1, rule: 'purpose', text: 'index.ts begins with a comment: purpose, invariants, who calls it' }];
};

const length: Rule = (file) =>
  isCode(file) && file.lineCount > tooLongFileLines && !longOnPurpose.some(({ path }) => path === file.path)
    ? [
        {
          line: 1,
          rule: 'length',
          text: `${file.lineCount} lines: a file about one thing has fewer than ${tooLongFileLines}`,
        },
      ]
    : [];

const noSkippedTests: Rule = (file) => {
  const found = /\b(?:test|it|describe|suite|t)\s*\.\s*(?:skip|only|todo)\b|\b(?:skip|only|todo)\s*:\s*true\b/.exec(
    file.code,
  );
  return isTest(file.path) && found
    ? [{ line: lineOf(file.text, found.index), rule: 'no-skipped-tests', text: 'a test runs, or it is not there' }]
    : [];
};

const namedColumns: Rule = (file) => {
  if (isTest(file.path)) return [];
  const found = /\bSELECT\s+(?:\w+\.)?\*/i.exec(isCode(file) ? withoutComments(file) : file.text.replace(/--.*/g, ''));
  return found
    ? [{ line: 1, rule: 'named-columns', text: 'name the columns: a new one must not appear in an answer by itself' }]
    : [];
};

/** Where the code was blanked to a space it was a comment; strings are blanked to another character. */
function withoutComments({ text, code }: ScannedFile): string {
  return Array.from({ length: text.length }, (_, at) => (code[at] === ' ' ? ' ' : text[at])).join('');
}

const rules: readonly Rule[] = [
  oneWay,
  frontDoors,
  apart,
  singleOwners,
  noDrawers,
  purpose,
  length,
  noSkippedTests,
  namedColumns,
];
