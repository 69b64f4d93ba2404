import { Checkbox } from '@mantine/core';
import { type MouseEvent, memo, type ReactNode } from 'react';
import { RelativeTime } from '../../../../web/design/index.ts';
import type { ItemSort, ItemSummary } from '../../api.ts';
import { type ItemSearch, sortOf } from '../data/search.ts';
import { priorityWords, stateWords } from '../data/words.ts';
import { IconMessageCircle, IconPaperclip } from '../items/icons.ts';
import { DueMark, Initials, Pieces, PriorityMark, StateMark, TagMark, TypeMark } from '../items/marks.tsx';
import classes from './ItemTable.module.css';
import type { ListKeys } from './useListKeys.ts';
import type { Selection } from './useSelection.ts';

export interface ItemTableProps {
  readonly items: readonly ItemSummary[];
  readonly search: ItemSearch;
  /** Rows of the filter before are shown until the new ones are here. */
  readonly busy: boolean;
  readonly withProject: boolean;
  readonly selection: Selection;
  readonly keys: ListKeys;
  readonly readOnly: boolean;
  readonly onOpen: (item: ItemSummary, how: 'replace' | 'push') => void;
  readonly onSort: (sort: ItemSort) => void;
}

export function ItemTable(props: ItemTableProps) {
  const { items, search, selection, keys } = props;
  const sort = sortOf(search);
  const find = (event: MouseEvent) => {
    const row = (event.target as Element).closest<HTMLElement>('[data-row]');
    return items.find((item) => item.id === row?.dataset.row);
  };
  const handleClick = (event: MouseEvent) => {
    const item = find(event);
    if (!item || event.ctrlKey || event.metaKey || event.button !== 0) return;
    const target = event.target as Element;
    if (target.closest('label, input')) return;
    if (event.shiftKey) {
      event.preventDefault();
      selection.toggle(item.id, true);
      return;
    }
    if (!target.closest('a') && window.getSelection()?.toString()) return;
    event.preventDefault();
    keys.setCurrent(item.id);
    props.onOpen(item, search.item ? 'replace' : 'push');
  };
  return (
    <div className={classes.wrap}>
      {/* biome-ignore-start lint/a11y/noRedundantRoles: where there is no room for columns, CSS takes the table's own roles away */}
      <table
        className={classes.table}
        role="table"
        aria-label="Items"
        aria-busy={props.busy}
        data-busy={props.busy || undefined}
      >
        <thead role="rowgroup">
          <tr role="row">
            <th className={classes.check} scope="col">
              <Checkbox
                size="xs"
                aria-label="Select all that are shown"
                checked={selection.all}
                indeterminate={selection.ids.size > 0 && !selection.all}
                onChange={selection.toggleAll}
              />
            </th>
            <Head label="Number" sort={sort} by={['key', '-key']} onSort={props.onSort} className={classes.key} />
            <Head label="Title" sort={sort} by={['title']} onSort={props.onSort} />
            <th className={classes.state} scope="col">
              State
            </th>
            <Head
              label="Priority"
              sort={sort}
              by={['priority', '-priority']}
              onSort={props.onSort}
              className={classes.priority}
            />
            <th className={classes.who} scope="col">
              Assignee
            </th>
            <Head label="Due" sort={sort} by={['due']} onSort={props.onSort} className={classes.due} />
            <Head
              label="Changed"
              sort={sort}
              by={['-updated', 'updated']}
              onSort={props.onSort}
              className={classes.changed}
            />
          </tr>
        </thead>
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: every row has a link, which Enter follows */}
        <tbody role="rowgroup" onClick={handleClick}>
          {items.map((item) => (
            <Row
              key={item.id}
              item={item}
              selected={selection.ids.has(item.id)}
              opened={search.item === item.key}
              tabStop={keys.currentId === item.id}
              onToggle={selection.toggle}
            />
          ))}
        </tbody>
      </table>
      {/* biome-ignore-end lint/a11y/noRedundantRoles: see above */}
    </div>
  );
}

function Head(props: {
  label: string;
  sort: ItemSort;
  /** First press, second press. */
  by: readonly ItemSort[];
  onSort: (sort: ItemSort) => void;
  className?: string | undefined;
}) {
  const at = props.by.indexOf(props.sort);
  const active = props.by[at];
  const direction = active ? (active.startsWith('-') ? 'descending' : 'ascending') : undefined;
  return (
    <th className={props.className} aria-sort={direction} scope="col">
      <button
        type="button"
        className={classes.sort}
        onClick={() => props.onSort(props.by[(at + 1) % props.by.length] as ItemSort)}
      >
        {props.label}
        <span aria-hidden>{direction === 'ascending' ? '▲' : direction === 'descending' ? '▼' : ''}</span>
      </button>
    </th>
  );
}

const mostTags = 2;

interface RowProps {
  readonly item: ItemSummary;
  readonly selected: boolean;
  readonly opened: boolean;
  readonly tabStop: boolean;
  readonly onToggle: (itemId: string, upTo?: boolean) => void;
}

const Row = memo(function Row({ item, selected, opened, tabStop, onToggle }: RowProps) {
  return (
    <tr
      // biome-ignore lint/a11y/noRedundantRoles: see the table
      role="row"
      className={classes.row}
      data-row={item.id}
      data-selected={selected || undefined}
      data-opened={opened || undefined}
    >
      <td className={classes.check}>
        <Checkbox
          size="xs"
          aria-label={`Select ${item.key}`}
          checked={selected}
          tabIndex={tabStop ? 0 : -1}
          onChange={(event) =>
            onToggle(item.id, (event.nativeEvent as unknown as { shiftKey?: boolean }).shiftKey === true)
          }
        />
      </td>
      <td className={classes.key}>
        <span className={classes.line}>
          <TypeMark type={item.type} labelled />
          {item.key}
        </span>
      </td>
      <td className={classes.title}>
        <span className={classes.line}>
          <a
            href={`/i/${item.key}`}
            data-open
            tabIndex={tabStop ? 0 : -1}
            className={classes.link}
            aria-current={opened ? 'true' : undefined}
          >
            {item.match ? <Pieces pieces={item.match.title} /> : item.title}
          </a>
          <span className={classes.extras}>
            {item.tags.slice(0, mostTags).map((tag) => (
              <TagMark key={tag.name} tag={tag} />
            ))}
            {item.tags.length > mostTags && (
              <span className={classes.count} title={item.tags.map((tag) => tag.name).join(', ')}>
                +{item.tags.length - mostTags}
              </span>
            )}
            <Count icon={<IconMessageCircle size={13} aria-label="Comments:" />} count={item.commentCount} />
            <Count icon={<IconPaperclip size={13} aria-label="Attachments:" />} count={item.attachmentCount} />
          </span>
        </span>
        {item.match && item.match.description.length > 0 && (
          <span className={classes.match}>
            <Pieces pieces={item.match.description} />
          </span>
        )}
      </td>
      <td className={classes.state}>
        <span className={classes.line}>
          <StateMark state={item.state} />
          {stateWords[item.state]}
        </span>
      </td>
      <td className={classes.priority}>
        <span className={classes.line}>
          <PriorityMark priority={item.priority} />
          <span className={classes.word}>{priorityWords[item.priority]}</span>
        </span>
      </td>
      <td className={classes.who}>
        <span className={classes.line}>
          <Initials user={item.assignee} size={20} />
          <span className={classes.name} aria-hidden="true">
            {item.assignee?.name}
          </span>
        </span>
      </td>
      <td className={classes.due}>
        <DueMark item={item} />
      </td>
      <td className={classes.changed}>
        <RelativeTime value={item.updatedAt} />
      </td>
    </tr>
  );
});

function Count({ icon, count }: { icon: ReactNode; count: number }) {
  if (count === 0) return null;
  return (
    <span className={classes.count}>
      {icon} {count}
    </span>
  );
}
