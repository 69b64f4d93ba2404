import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';

export const manifestFile = 'freehold.app.json';
export const maxManifestBytes = 64 * 1024;
/** The format needs 3. The parser recurses, so depth is bounded before it begins. */
const maxDepth = 8;

/** One thing that is wrong, with the place of it. Lines and columns begin at 1; columns count UTF-16 units, as editors do. */
export interface ManifestProblem {
  readonly line: number;
  readonly column: number;
  /** What is wrong, and what to write instead. */
  readonly text: string;
}

export interface ManifestDocument {
  /** undefined when the text is no JSON. */
  readonly root: Node | undefined;
  readonly problems: readonly { readonly offset: number; readonly text: string }[];
  place(offset: number): { readonly line: number; readonly column: number };
}

/** Reads JSON; comments and commas at the end of lists are allowed, as in tsconfig.json. */
export function readManifestDocument(bytes: Uint8Array): ManifestDocument {
  const broken = (text: string, offset: number, problem: string): ManifestDocument => ({
    root: undefined,
    problems: [{ offset, text: problem }],
    place: placeIn(text),
  });
  if (bytes.length > maxManifestBytes)
    return broken('', 0, `is ${bytes.length} bytes long; at most ${maxManifestBytes} are read`);

  const valid = validPrefix(bytes);
  // Leaves out a byte order mark, which RFC 8259 §8.1 lets a reader ignore.
  const text = new TextDecoder().decode(bytes.subarray(0, valid));
  if (valid < bytes.length) return broken(text, text.length, 'is not UTF-8 from here on; save the file as UTF-8');
  const deep = findTooDeep(text);
  if (deep !== undefined) return broken(text, deep, `is nested more than ${maxDepth} levels deep; 3 are all it needs`);

  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const problems = errors.map(({ error, offset }) => ({ offset, text: syntaxText(printParseErrorCode(error)) }));
  if (!root && problems.length === 0) problems.push({ offset: 0, text: 'is empty; write an object: { "name": … }' });
  return { root: problems.length > 0 ? undefined : root, problems: problems.slice(0, 1), place: placeIn(text) };
}

/** How many bytes are the beginning of good UTF-8. A sequence that the end cuts off is not. */
function validPrefix(bytes: Uint8Array): number {
  const isGood = (length: number, stream: boolean) => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  if (isGood(bytes.length, false)) return bytes.length;
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isGood(middle, true)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !isGood(good, false)) good--;
  return Math.min(good, bytes.length - 1);
}

// Of jsonc-parser's `SyntaxKind`, a const enum that is gone when types are stripped: braces and brackets, and the end.
const opening = new Set([1, 3]);
const closing = new Set([2, 4]);
const endOfText = 17;

function findTooDeep(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== endOfText; token = scanner.scan()) {
    if (opening.has(token) && ++depth > maxDepth) return scanner.getTokenOffset();
    if (closing.has(token)) depth--;
  }
  return undefined;
}

function syntaxText(code: string): string {
  const words = code.replace(/([a-z])([A-Z])/g, (_, before, letter) => `${before} ${letter.toLowerCase()}`);
  return `is not JSON here: ${words.toLowerCase()}`;
}

function placeIn(text: string): ManifestDocument['place'] {
  return (offset) => {
    const before = text.slice(0, offset).split(/\r\n|\r|\n/);
    return { line: before.length, column: before.at(-1)!.length + 1 };
  };
}
