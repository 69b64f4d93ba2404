import type { Resource } from './filter.ts';
import { messageSchemas } from './message.ts';

/** RFC 7644, 3.4.2.4: counted from 1; what is out of bounds is brought into them. */
export interface ListQuery {
  readonly filter?: string | undefined;
  readonly startIndex?: number | undefined;
  readonly count?: number | undefined;
}

export const listLimits = { defaultCount: 100, maxCount: 200 } as const;

export interface ListAnswer {
  readonly schemas: readonly string[];
  readonly totalResults: number;
  readonly startIndex: number;
  readonly itemsPerPage: number;
  readonly Resources: readonly Resource[];
}

export function windowOf({ startIndex = 1, count = listLimits.defaultCount }: ListQuery): {
  offset: number;
  limit: number;
} {
  return { offset: Math.max(1, startIndex) - 1, limit: Math.min(Math.max(0, count), listLimits.maxCount) };
}

export function listOf(resources: readonly Resource[], totalResults: number, query: ListQuery): ListAnswer {
  return {
    schemas: [messageSchemas.list],
    totalResults,
    startIndex: windowOf(query).offset + 1,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}
