/** What the rules need to know of a source file, read without a parser: the compiler offers no programming interface. */
export interface ScannedFile {
  /** Path from the top of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked out, every position kept. */
  readonly code: string;
  readonly imports: readonly Import[];
  readonly lineCount: number;
}

export interface Import {
  readonly specifier: string;
  /** Erased at run time: `import type`, `export type … from`. */
  readonly isTypeOnly: boolean;
  /** Names taken from it; `*` for a namespace, a default, or a dynamic import. */
  readonly names: readonly string[];
  readonly line: number;
}

const blank = '\u0001';

export function scanFile(path: string, text: string): ScannedFile {
  const code = /\.tsx?$/.test(path) ? blankOut(text) : text;
  return { path, text, code, imports: importsOf(text, code), lineCount: text.split('\n').length - 1 };
}

function importsOf(text: string, code: string): Import[] {
  const found: Import[] = [];
  const statement = /\b(?:import|export)(\s+type)?(?:\s*([\w$*{},\s]*?)\s*from)?\s*(['"])(\u0001*)\3/g;
  const dynamic = /\bimport\s*\(\s*()()(['"])(\u0001*)\3/g;
  for (const pattern of [statement, dynamic]) {
    for (const match of code.matchAll(pattern)) {
      const start = match.index + match[0].length - 1 - match[4]!.length;
      found.push({
        specifier: text.slice(start, start + match[4]!.length),
        isTypeOnly: Boolean(match[1]),
        names: namesOf(match[2]),
        line: lineOf(text, match.index),
      });
    }
  }
  return found;
}

function namesOf(clause: string | undefined): string[] {
  const braces = /\{([^}]*)\}/.exec(clause ?? '');
  if (!braces) return ['*'];
  const named = braces[1]!.split(',').map((part) => part.trim().replace(/^type\s+/, ''));
  const others = clause!.replace(braces[0], '').replaceAll(',', '').trim();
  return [...named.map((part) => part.split(/\s+as\s+/)[0]!).filter(Boolean), ...(others ? ['*'] : [])];
}

export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** A `/` after one of these begins a regular expression, not a division. */
const beforeRegex = /(?:^|[(,=:[!&|?{};+\->]|\breturn|\btypeof|\bcase)\s*$/;

/** Blanks comments, strings, regular expressions and the fixed parts of templates; code inside `${…}` stays. */
function blankOut(text: string): string {
  const out = text.split('');
  /** Open braces inside each open `${`. */
  const templates: number[] = [];
  let at = 0;
  const cover = (end: number, filler: string) => {
    for (; at < end; at++) if (out[at] !== '\n') out[at] = filler;
  };
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const character = text[at]!;
    if (two === '//') cover(ends(text.indexOf('\n', at), text), ' ');
    else if (two === '/*') cover(ends(text.indexOf('*/', at + 2) + 2, text, 1), ' ');
    else if (character === "'" || character === '"') {
      at++;
      cover(endOfString(text, at, character), blank);
      at++;
    } else if (character === '`') {
      at++;
      template();
    } else if (character === '/' && beforeRegex.test(out.slice(Math.max(0, at - 40), at).join(''))) {
      at++;
      cover(endOfRegex(text, at), blank);
      at++;
    } else if (character === '}' && templates.at(-1) === 0) {
      templates.pop();
      at++;
      template();
    } else {
      if (templates.length > 0 && character === '{') templates[templates.length - 1]!++;
      if (templates.length > 0 && character === '}') templates[templates.length - 1]!--;
      at++;
    }
  }
  return out.join('');

  /** From inside a template to its end or to the next `${`. */
  function template(): void {
    let end = at;
    while (end < text.length && text[end] !== '`' && text.slice(end, end + 2) !== '${')
      end += text[end] === '\\' ? 2 : 1;
    cover(Math.min(end, text.length), blank);
    if (text[at] === '`') at++;
    else if (at < text.length) {
      at += 2;
      templates.push(0);
    }
  }
}

/** `found` as it is, or the end of the text when the search failed (`-1`, or `-1 + 2` of a two-character search). */
function ends(found: number, text: string, failure = -1): number {
  return found === failure ? text.length : found;
}

/** A quoted string ends at its quote, or at the line's end (an apostrophe in the text of a page). */
function endOfString(text: string, start: number, quote: string): number {
  let end = start;
  while (end < text.length && text[end] !== quote && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
  return Math.min(end, text.length);
}

function endOfRegex(text: string, start: number): number {
  let end = start;
  let inClass = false;
  while (end < text.length && text[end] !== '\n' && (inClass || text[end] !== '/')) {
    if (text[end] === '[') inClass = true;
    if (text[end] === ']') inClass = false;
    end += text[end] === '\\' ? 2 : 1;
  }
  return Math.min(end, text.length);
}
