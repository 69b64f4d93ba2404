/** Tags are plain names on items. No table of tags: a tag exists as long as an item has it, and its colour follows from its name. */
import type { Tag } from './api.ts';
import { badInput } from './errors.ts';
import { characterCount, cleanLine } from './text.ts';

export const maxTags = 20;
const maxTagCharacters = 40;
const colorCount = 12;

/** Lower case, single-spaced, without a leading # and without commas (which separate tags in lists); '' when nothing is left. */
export function normaliseTag(text: string): string {
  return cleanLine(cleanLine(text).toLowerCase().replaceAll(',', ' ').replace(/^#+/, ''));
}

/** Normalised, without repetition, ordered. */
export function parseTags(texts: readonly string[], field = 'tags'): string[] {
  const tags = new Set<string>();
  for (const text of texts) {
    const tag = normaliseTag(text);
    if (tag === '') throw badInput(field, 'contains an empty tag');
    if (characterCount(tag) > maxTagCharacters)
      throw badInput(field, `contains a tag of more than ${maxTagCharacters} characters`);
    tags.add(tag);
  }
  if (tags.size > maxTags) throw badInput(field, `has more than ${maxTags} tags`);
  return [...tags].sort();
}

/** FNV-1a over UTF-16 units: spreads short names well and never changes between versions, so colours are stable. */
export function describeTag(name: string): Tag {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  }
  return { name, color: hash % colorCount };
}
