/**
 * What stands after the `?` of board and list: filters, sort, and the item in the side panel.
 * Values have the form that the API takes, so the same text goes to the server, into a shared link and into the CSV export.
 */
import type { ItemFilter, ItemSort } from '../../api.ts';

export interface ItemSearch extends Omit<ItemFilter, 'due'> {
  due?: string;
  sort?: string;
  /** Key of the item in the side panel. */
  item?: string;
}

const filterNames = [
  'q',
  'project',
  'state',
  'type',
  'priority',
  'assignee',
  'tag',
  'due',
  'createdFrom',
  'createdTo',
  'updatedFrom',
  'updatedTo',
  'import',
] as const;
const names = [...filterNames, 'sort', 'item'] as const;

/** Keeps what is known and not empty; the server judges the values. */
export function parseItemSearch(raw: Record<string, unknown>): ItemSearch {
  const search: Record<string, string> = {};
  for (const name of names) {
    const value = raw[name];
    if (typeof value === 'string' && value !== '') search[name] = value;
  }
  return search as ItemSearch;
}

/** Only the filters: what a list and a board share. */
export function filtersOf(search: ItemSearch): ItemSearch {
  const filters: Record<string, string> = {};
  for (const name of filterNames) if (search[name]) filters[name] = search[name];
  return filters as ItemSearch;
}

export function countFilters(search: ItemSearch, except: readonly string[] = []): number {
  return filterNames.filter((name) => search[name] && !except.includes(name)).length;
}

export function splitChoices(value: string | undefined): string[] {
  return value ? value.split(',').filter((choice) => choice !== '') : [];
}

export function joinChoices(choices: readonly string[]): string | undefined {
  return choices.length > 0 ? choices.join(',') : undefined;
}

/** `?a=b&c=d`, or nothing. */
export function toQueryString(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') query.set(name, String(value));
  }
  // Commas are allowed in a query and far easier to read than %2C.
  const text = query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}

/** For the router: plain `name=value` pairs, every value a string. */
export function parseQueryString(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}

export function sortOf(search: ItemSearch): ItemSort {
  return (search.sort as ItemSort | undefined) ?? (search.q ? '-relevance' : '-updated');
}
