import type { Node } from 'jsonc-parser';
import { didYouMean } from './nearest.ts';

/** Collects what is wrong, so that all of it is said at once. Every method answers undefined after it reported. */
export class ManifestReader {
  readonly problems: { readonly offset: number; readonly text: string }[] = [];

  report(node: Node, text: string): undefined {
    this.problems.push({ offset: node.offset, text });
  }

  /** The members of an object with these keys; a key that is unknown or comes twice is reported. */
  members<K extends string>(node: Node | undefined, what: string, keys: readonly K[]): Partial<Record<K, Node>> {
    if (!node) return {};
    const entries = this.entries(node, what);
    const known = new Map<K, Node>();
    for (const { key, keyNode, value } of entries) {
      if (keys.includes(key as K)) known.set(key as K, value);
      else
        this.report(
          keyNode,
          `${what} has no key ${show(key)}${didYouMean(key, keys) || `; it has ${keys.join(', ')}`}`,
        );
    }
    return Object.fromEntries(known) as Partial<Record<K, Node>>;
  }

  /** All members of an object, each name once. */
  entries(node: Node, what: string): { key: string; keyNode: Node; value: Node }[] {
    if (node.type !== 'object') {
      this.report(node, `${what} is ${kindOf(node)}; write an object: { … }`);
      return [];
    }
    const entries = new Map<string, { key: string; keyNode: Node; value: Node }>();
    for (const property of node.children ?? []) {
      const [keyNode, value] = property.children ?? [];
      if (!keyNode || !value) continue;
      const key = String(keyNode.value);
      if (entries.has(key)) this.report(keyNode, `${show(key)} is here twice; leave one of them`);
      else entries.set(key, { key, keyNode, value });
    }
    return [...entries.values()];
  }

  list(node: Node, what: string, max: number): readonly Node[] | undefined {
    if (node.type !== 'array') return this.report(node, `${what} is ${kindOf(node)}; write a list: [ … ]`);
    const items = node.children ?? [];
    if (items.length > max) return this.report(node, `${what} has ${items.length} items; at most ${max} are allowed`);
    return items;
  }

  /** Characters that no environment, file name or database takes are refused in every text. */
  text(
    node: Node,
    what: string,
    { max, allowEmpty = false }: { max: number; allowEmpty?: boolean },
  ): string | undefined {
    if (node.type !== 'string') return this.report(node, `${what} is ${kindOf(node)}; write a text: "…"`);
    const text = String(node.value);
    if (text === '' && !allowEmpty) return this.report(node, `${what} is empty`);
    if (text.length > max)
      return this.report(node, `${what} has ${text.length} characters; at most ${max} are allowed`);
    if (text.includes('\0')) return this.report(node, `${what} holds a NUL character; leave it out`);
    if (!text.isWellFormed())
      return this.report(node, `${what} holds half a character (a lone surrogate); leave it out`);
    return text;
  }

  oneOf<T extends string>(node: Node, what: string, choices: readonly T[]): T | undefined {
    const found = choices.find((choice) => node.type === 'string' && choice === node.value);
    if (found !== undefined) return found;
    const shown = choices.map((choice) => JSON.stringify(choice)).join(' or ');
    return this.report(
      node,
      `${what} is ${node.type === 'string' ? show(String(node.value)) : kindOf(node)}; write ${shown}`,
    );
  }

  number(node: Node, what: string, range: NumberRange): number | undefined {
    const kind = range.whole === false ? 'a number' : 'a whole number';
    const bounds = `${kind} from ${range.min} to ${range.max}`;
    if (node.type !== 'number') return this.report(node, `${what} is ${kindOf(node)}; write ${bounds}`);
    const value = Number(node.value);
    const isWhole = range.whole === false || Number.isInteger(value);
    if (!isWhole || !(value >= range.min && value <= range.max))
      return this.report(node, `${what} is ${value}; write ${bounds}`);
    return value;
  }
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** Default true. */
  readonly whole?: false;
}

/** Of what is quoted back, so that a message stays a message. */
export function show(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function kindOf({ type }: Node): string {
  const kinds = {
    object: 'an object',
    array: 'a list',
    string: 'a text',
    number: 'a number',
    boolean: 'true or false',
    null: 'null',
    property: 'a property',
  };
  return kinds[type];
}
