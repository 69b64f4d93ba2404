import type { AppManifest, EnvironmentFacts } from '../types.ts';
import { didYouMean } from './nearest.ts';

/** What `${…}` may name besides `secrets.NAME`. */
export const factNames = [
  'database.url',
  'database.host',
  'database.port',
  'database.name',
  'database.user',
  'database.password',
  'port',
  'url',
  'host',
  'folder',
  'tenant.id',
  'tenant.name',
  'tenant.title',
  'identity.key',
  'identity.issuer',
  'identity.clientId',
  'identity.clientSecret',
] as const;

/** What there is only with one kind of identity. */
const kindOfFact: ReadonlyMap<string, AppManifest['identity']['kind']> = new Map([
  ['identity.key', 'headers'],
  ['identity.issuer', 'oidc'],
  ['identity.clientId', 'oidc'],
  ['identity.clientSecret', 'oidc'],
]);

/** Always there, whatever the manifest says. */
export const givenVariables = ['PORT', 'HOME', 'TMPDIR'] as const;

// What changes which code a program loads, before the program's own first line, or what a shell runs: ld.so(8), iconv_open(3), bash(1).
const loaderVariables =
  /^(?:LD_.*|DYLD_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|NLSPATH|BASH_ENV|BASH_FUNC_.*|ENV|IFS|SHELLOPTS|BASHOPTS)$/;

/** Why a manifest may not set this variable; undefined: it may. */
export function findVariableProblem(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) || name === '__proto__')
    return 'is no name of a variable; use letters, digits and _, not beginning with a digit';
  if ((givenVariables as readonly string[]).includes(name)) return 'is always set by Freehold; leave it out';
  if (name === 'PATH')
    return 'is set by the sandbox; name programs by their path, for example ./node_modules/.bin/NAME';
  if (name.startsWith('FREEHOLD_')) return 'is reserved; use a name that does not begin with FREEHOLD_';
  if (loaderVariables.test(name)) return 'changes how programs are loaded, and may not be set; leave it out';
  return undefined;
}

type Piece = { readonly literal: string } | { readonly name: string } | { readonly unclosed: true };

const unclosedText = 'has a $' + '{ without a }; write $$' + '{ for the characters themselves';

/** `$${` is `${` itself; every other `$` stays what it is. */
function* pieces(template: string): Generator<Piece> {
  let at = 0;
  while (at < template.length) {
    const open = template.indexOf('${', at);
    if (open < 0) return yield { literal: template.slice(at) };
    if (template[open - 1] === '$' && open > at) {
      yield { literal: `${template.slice(at, open - 1)}\${` };
      at = open + 2;
      continue;
    }
    if (open > at) yield { literal: template.slice(at, open) };
    const close = template.indexOf('}', open);
    if (close < 0) return yield { unclosed: true };
    yield { name: template.slice(open + 2, close) };
    at = close + 1;
  }
}

/** What is wrong with a text of `env`. */
export function findTemplateProblems(
  template: string,
  { secrets, identity }: { readonly secrets: readonly string[]; readonly identity: AppManifest['identity']['kind'] },
): string[] {
  const known: readonly string[] = [...factNames, ...secrets.map((name) => `secrets.${name}`)];
  const problems: string[] = [];
  for (const piece of pieces(template)) {
    if ('unclosed' in piece) problems.push(unclosedText);
    if (!('name' in piece)) continue;
    const shown = `\${${piece.name.slice(0, 60)}}`;
    const kind = kindOfFact.get(piece.name);
    if (kind && kind !== identity)
      problems.push(`names ${shown}, which is there only with "identity": { "kind": "${kind}" }`);
    if (known.includes(piece.name)) continue;
    if (/^secrets\.[A-Za-z][A-Za-z0-9_-]{0,39}$/.test(piece.name))
      problems.push(`names ${shown}; add ${JSON.stringify(piece.name.slice(8))} to "secrets"`);
    else
      problems.push(
        `names ${shown}, which is nothing Freehold knows${didYouMean(piece.name, known) || `; it knows ${known.join(', ')}`}`,
      );
  }
  return problems;
}

/**
 * The whole environment of `migrate` and `start`: PORT, HOME (the tenant's folder), TMPDIR, and what the manifest maps; nothing of ours. Holds secrets.
 * @throws when a fact is missing, which a checked manifest never does
 */
export function resolveEnvironment(
  manifest: Pick<AppManifest, 'env'>,
  facts: EnvironmentFacts,
): Readonly<Record<string, string>> {
  const resolved = Object.entries(manifest.env).map(([variable, template]): [string, string] => {
    let value = '';
    for (const piece of pieces(template)) {
      if ('unclosed' in piece) throw new TypeError(`${variable} has a \${ without a }`);
      value += 'name' in piece ? getFact(facts, piece.name) : piece.literal;
    }
    return [variable, value];
  });
  return Object.fromEntries([...resolved, ['PORT', facts.port], ['HOME', facts.folder], ['TMPDIR', '/tmp']]);
}

function getFact(facts: EnvironmentFacts, name: string): string {
  let value: unknown = facts;
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key))
      throw new TypeError(`there is no \${${name}}`);
    value = (value as Record<string, unknown>)[key];
  }
  if (typeof value !== 'string') throw new TypeError(`\${${name}} is no text`);
  return value;
}
