/** Shape of demonstration data. Days count from the day the tenant is made, so the data never looks old. */
import type { ItemState, ItemType, Priority } from '../api.ts';

export interface DemoProject {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly items: readonly DemoItem[];
}

export interface DemoItem {
  readonly daysAgo: number;
  readonly state: ItemState;
  readonly type: ItemType;
  readonly priority: Priority;
  readonly tags: readonly string[];
  readonly title: string;
  readonly description: string;
  /** Somebody outside: `Name <e-mail>`. */
  readonly from?: string;
  /** Negative: overdue. */
  readonly dueInDays?: number;
  readonly comments?: readonly string[];
  readonly unassigned?: boolean;
}
