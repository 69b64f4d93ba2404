import type { Attribute, Attributes } from './attributes.ts';
import { scimErrors } from './errors.ts';

/** RFC 7644, 3.4.2.2. A filter is read into this and evaluated over resources; nothing of it ever becomes part of a statement. */
export type Filter =
  | { readonly kind: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'not'; readonly filter: Filter }
  | { readonly kind: 'present'; readonly path: AttributePath }
  | { readonly kind: 'compare'; readonly path: AttributePath; readonly operator: Operator; readonly value: Literal }
  /** Some value of a multi-valued attribute fits. */
  | { readonly kind: 'some'; readonly attribute: Attribute; readonly filter: Filter };

export interface AttributePath {
  readonly attribute: Attribute;
  readonly sub?: Attribute | undefined;
}

export const operators = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const;
export type Operator = (typeof operators)[number];
export type Literal = string | number | boolean | null;

/** Whoever sends more is not asking for a user. */
export const filterLimits = { characters: 1_000, depth: 8, comparisons: 32 } as const;

export interface Vocabulary {
  readonly attributes: Attributes;
  /** May stand before an attribute, with a colon. */
  readonly schema: string;
}

/** Throws FH_SCIM_FILTER. */
export function parseFilter(text: string, vocabulary: Vocabulary): Filter {
  const reader = createReader(text, vocabulary);
  const filter = reader.filter();
  reader.end();
  return filter;
}

/** What a PATCH operation is about (RFC 7644, 3.5.2): `attribute`, `attribute.sub`, `attribute[filter]`, `attribute[filter].sub`. */
export interface PatchPath extends AttributePath {
  /** Which of the values; evaluated over each. */
  readonly values?: Filter | undefined;
}

/** Throws FH_SCIM_FILTER; undefined: the attribute is not one of ours, and `name` (lower case, first part) is its name. */
export function parsePatchPath(text: string, vocabulary: Vocabulary): PatchPath | { readonly unknown: string } {
  const name = /^[A-Za-z][\w$-]*/.exec(withoutSchema(text.trim(), vocabulary.schema))?.[0].toLowerCase();
  if (name !== undefined && !vocabulary.attributes.has(name)) return { unknown: name };
  const reader = createReader(text, vocabulary);
  const path = reader.patchPath();
  reader.end();
  return path;
}

function withoutSchema(text: string, schema: string): string {
  return text.toLowerCase().startsWith(`${schema.toLowerCase()}:`) ? text.slice(schema.length + 1) : text;
}

// Each alternative begins with another character, so no text makes it go back and forth.
const token =
  /\s*(?:([()[\]])|("(?:[^"\\\u0000-\u001f]|\\.)*")|(-?\d[\d.eE+-]*)|([A-Za-z][\w$:.-]*)|(\.[A-Za-z][\w$-]*))/uy;

function createReader(text: string, { attributes, schema }: Vocabulary) {
  if (text.length > filterLimits.characters) throw refusal(`It is longer than ${filterLimits.characters} characters.`);
  const tokens: string[] = [];
  const source = text.trimEnd();
  token.lastIndex = 0;
  while (token.lastIndex < source.length) {
    const at = token.lastIndex;
    const match = token.exec(source);
    if (!match) throw refusal(`Character ${at + 1} is not expected.`);
    tokens.push(match[0].trimStart());
  }
  let at = 0;
  let comparisons = 0;
  let depth = 0;

  const peek = () => tokens[at];
  const isWord = (word: string) => peek()?.toLowerCase() === word;
  const take = (what: string): string => {
    const next = tokens[at++];
    if (next === undefined) throw refusal(`It ends where ${what} should be.`);
    return next;
  };
  const expect = (sign: string): void => {
    const next = take(`"${sign}"`);
    if (next !== sign) throw refusal(`"${sign}" is expected where "${next}" is.`);
  };
  const deeper = <T>(read: () => T): T => {
    if (++depth > filterLimits.depth) throw refusal(`It is nested deeper than ${filterLimits.depth}.`);
    const result = read();
    depth--;
    return result;
  };

  function attributePath(known: Attributes): AttributePath {
    const name = take('an attribute');
    if (!/^[A-Za-z]/.test(name)) throw refusal(`An attribute is expected where "${name}" is.`);
    const [first = '', second, ...more] = withoutSchema(name, schema).split('.');
    const attribute = known.get(first.toLowerCase());
    const sub = second === undefined ? undefined : attribute?.sub?.get(second.toLowerCase());
    if (!attribute || more.length > 0 || (second !== undefined && !sub))
      throw refusal(`There is no attribute "${name}" to ask for.`);
    return { attribute, sub };
  }

  function literal(): Literal {
    const next = take('a value');
    if (next.startsWith('"') || /^-?\d/.test(next)) {
      try {
        return JSON.parse(next) as Literal;
      } catch {
        throw refusal(`${next} is not a value.`);
      }
    }
    const word = next.toLowerCase();
    if (word === 'true' || word === 'false') return word === 'true';
    if (word === 'null') return null;
    throw refusal(`A value is expected where "${next}" is.`);
  }

  function term(known: Attributes, isInner: boolean): Filter {
    if (peek() === '(') return group(known, isInner);
    if (isWord('not') && tokens[at + 1] === '(') {
      at++;
      return { kind: 'not', filter: group(known, isInner) };
    }
    if (++comparisons > filterLimits.comparisons)
      throw refusal(`It has more than ${filterLimits.comparisons} comparisons.`);
    const path = attributePath(known);
    if (peek() === '[') {
      if (isInner) throw refusal('Brackets do not stand in brackets.');
      const values = valuesOf(path);
      if (!peek()?.startsWith('.')) return { kind: 'some', attribute: path.attribute, filter: values };
      // `emails[type eq "work"].value eq "…"`: not in the grammar, and what Entra ID asks.
      const sub = partOf(path.attribute, take('a part'));
      const right = comparison({ attribute: sub });
      return { kind: 'some', attribute: path.attribute, filter: { kind: 'and', left: values, right } };
    }
    return comparison(path);
  }

  function partOf(attribute: Attribute, dotted: string): Attribute {
    const sub = attribute.sub!.get(dotted.slice(1).toLowerCase());
    if (!sub) throw refusal(`There is no attribute "${attribute.name}${dotted}".`);
    return sub;
  }

  function comparison(path: AttributePath): Filter {
    const operator = take('an operator').toLowerCase();
    if (operator === 'pr') return { kind: 'present', path };
    if (!isOperator(operator)) throw refusal(`There is no operator "${operator}".`);
    return { kind: 'compare', path, operator, value: fitting(path, operator, literal()) };
  }

  function valuesOf({ attribute, sub }: AttributePath): Filter {
    if (!attribute.multiValued || sub) throw refusal(`"${attribute.name}" takes no brackets here.`);
    expect('[');
    const filter = deeper(() => disjunction(attribute.sub!, true));
    expect(']');
    return filter;
  }

  function group(known: Attributes, isInner: boolean): Filter {
    expect('(');
    const filter = deeper(() => disjunction(known, isInner));
    expect(')');
    return filter;
  }

  /** `and` binds tighter than `or`. */
  function conjunction(known: Attributes, isInner: boolean): Filter {
    let left = term(known, isInner);
    while (isWord('and')) {
      at++;
      left = { kind: 'and', left, right: term(known, isInner) };
    }
    return left;
  }

  function disjunction(known: Attributes, isInner: boolean): Filter {
    let left = conjunction(known, isInner);
    while (isWord('or')) {
      at++;
      left = { kind: 'or', left, right: conjunction(known, isInner) };
    }
    return left;
  }

  return {
    filter: () => disjunction(attributes, false),
    patchPath(): PatchPath {
      const path = attributePath(attributes);
      if (peek() !== '[') return path;
      const values = valuesOf(path);
      if (!peek()?.startsWith('.')) return { ...path, values };
      return { attribute: path.attribute, sub: partOf(path.attribute, take('a part')), values };
    },
    end(): void {
      if (at < tokens.length) throw refusal(`"${tokens[at]}" is not expected.`);
    },
  };
}

function isOperator(text: string): text is Operator {
  return (operators as readonly string[]).includes(text);
}

/** Entra ID asks for booleans as text at times. */
function fitting({ attribute, sub }: AttributePath, operator: Operator, value: Literal): Literal {
  const compared = comparedAttribute({ attribute, sub });
  const isEquality = operator === 'eq' || operator === 'ne';
  if (value === null) {
    if (!isEquality) throw refusal('null has no order.');
    return value;
  }
  if (compared.type === 'boolean') {
    const read = typeof value === 'string' ? parseBoolean(value) : value;
    if (typeof read !== 'boolean' || !isEquality) throw refusal(`"${compared.name}" is true or false.`);
    return read;
  }
  if (compared.type === 'complex') throw refusal(`"${compared.name}" has parts: ask for one of them.`);
  if (typeof value !== 'string') throw refusal(`"${compared.name}" is text.`);
  if (compared.type === 'dateTime') {
    if (!/^\d{4}-\d\d-\d\dT/.test(value) || Number.isNaN(Date.parse(value)))
      throw refusal(`"${compared.name}" is a moment such as 2026-01-31T00:00:00Z.`);
    if (['co', 'sw', 'ew'].includes(operator)) throw refusal('A moment has no parts.');
  }
  return value;
}

/** `true`, `"True"` … */
export function parseBoolean(value: string): boolean | undefined {
  const word = value.toLowerCase();
  return word === 'true' ? true : word === 'false' ? false : undefined;
}

/** Of a multi-valued attribute without a part, its values (RFC 7644, 3.4.2.2: `emails co "example.com"`). */
function comparedAttribute({ attribute, sub }: AttributePath): Attribute {
  return sub ?? (attribute.multiValued ? (attribute.sub?.get('value') ?? attribute) : attribute);
}

/** A resource, or one value of a multi-valued attribute, as it is sent. */
export type Resource = Readonly<Record<string, unknown>>;

export function matches(filter: Filter, resource: Resource): boolean {
  switch (filter.kind) {
    case 'and':
      return matches(filter.left, resource) && matches(filter.right, resource);
    case 'or':
      return matches(filter.left, resource) || matches(filter.right, resource);
    case 'not':
      return !matches(filter.filter, resource);
    case 'present':
      return valuesAt(filter.path, resource).length > 0;
    case 'some':
      return listOf(resource[filter.attribute.name]).some((one) => matches(filter.filter, one as Resource));
    case 'compare':
      return compare(filter, valuesAt(filter.path, resource));
  }
}

function listOf(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}

/** What is there; the names are ours, never the caller's. */
function valuesAt(path: AttributePath, resource: Resource): readonly unknown[] {
  const values = listOf(resource[path.attribute.name]);
  const part = path.sub ?? (path.attribute.multiValued ? path.attribute.sub?.get('value') : undefined);
  const found = part ? values.flatMap((one) => listOf((one as Resource)[part.name])) : values;
  return found.filter((one) => one !== '');
}

function compare({ path, operator, value }: Extract<Filter, { kind: 'compare' }>, found: readonly unknown[]): boolean {
  if (value === null) return operator === 'eq' ? found.length === 0 : found.length > 0;
  const { type, caseExact } = comparedAttribute(path);
  const fold = (one: unknown): string | number | boolean =>
    typeof one === 'boolean' ? one : type === 'dateTime' ? Date.parse(String(one)) : foldText(String(one), caseExact);
  const wanted = fold(value);
  if (operator === 'ne') return !found.some((one) => fold(one) === wanted);
  return found.some((one) => holds(operator, fold(one), wanted));
}

/** How texts are compared that do not distinguish cases. */
function foldText(text: string, caseExact = false): string {
  return caseExact ? text : text.normalize('NFC').toLowerCase().normalize('NFC');
}

function holds(
  operator: Exclude<Operator, 'ne'>,
  one: string | number | boolean,
  wanted: string | number | boolean,
): boolean {
  switch (operator) {
    case 'eq':
      return one === wanted;
    case 'co':
      return String(one).includes(String(wanted));
    case 'sw':
      return String(one).startsWith(String(wanted));
    case 'ew':
      return String(one).endsWith(String(wanted));
    case 'gt':
      return one > wanted;
    case 'ge':
      return one >= wanted;
    case 'lt':
      return one < wanted;
    case 'le':
      return one <= wanted;
  }
}

/** What every resource that matches has, by path in lower case: `username` → `olga@example.com`. Few rows are read where this names one. */
export function requiredValues(filter: Filter, found = new Map<string, string>()): ReadonlyMap<string, string> {
  if (filter.kind === 'and') {
    requiredValues(filter.left, found);
    requiredValues(filter.right, found);
  }
  if (filter.kind === 'compare' && filter.operator === 'eq' && typeof filter.value === 'string') {
    const { attribute, sub } = filter.path;
    const name = [attribute.name, ...(sub ? [sub.name] : [])].join('.').toLowerCase();
    // Of two that contradict each other either will do: nothing matches.
    found.set(name, filter.value);
  }
  return found;
}

function refusal(detail: string) {
  return scimErrors.FH_SCIM_FILTER({ detail });
}
