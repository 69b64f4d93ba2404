import { type KeyboardEvent, type MouseEvent, type ReactNode, useRef, useState } from 'react';
import classes from './DataTable.module.css';

export interface Column<T> {
  readonly key: string;
  readonly header: string;
  readonly cell: (row: T) => ReactNode;
  /** Makes the column sortable in the page; with `serverSort`, any value makes it sortable by the server. */
  readonly sortBy?: ((row: T) => string | number) | 'server';
  readonly align?: 'left' | 'right';
  /** CSS width, for example `8rem`. */
  readonly width?: string;
  /** Where there is no room for columns. Default: `title` for the first, `line` (labelled) for the others. */
  readonly narrow?: 'title' | 'corner' | 'line' | 'hidden';
}

export interface DataTableProps<T> {
  /** Says what the table lists, for screen readers. */
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowKey: (row: T) => string;
  /** Enter or a click on the row; put a link into the first cell as well, so that it can be opened in a new tab. */
  readonly onOpen?: (row: T) => void;
  readonly initialSort?: Sort;
  /** The rows come sorted; a click on a header asks for another order. Keys are those of the columns. */
  readonly serverSort?: { readonly sort: Sort | undefined; readonly onSort: (sort: Sort) => void };
}

export interface Sort {
  readonly key: string;
  readonly descending?: boolean;
}

/** Dense table. Keyboard: ↑ ↓ or j k between rows, Home and End, Enter opens. Columns become labelled lines below 38 rem. */
export function DataTable<T>(props: DataTableProps<T>) {
  const { label, columns, rows, rowKey, onOpen, serverSort } = props;
  const [ownSort, setOwnSort] = useState(props.initialSort);
  const sort = serverSort ? serverSort.sort : ownSort;
  const setSort = serverSort ? serverSort.onSort : setOwnSort;
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = sortRows(rows, columns.find((column) => column.key === sort?.key)?.sortBy, sort?.descending ?? false);

  const moveFocus = (event: KeyboardEvent<HTMLTableRowElement>, row: T) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...(body.current?.rows ?? [])];
    const at = all.indexOf(event.currentTarget);
    const next = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      all[Math.max(0, Math.min(next, all.length - 1))]?.focus();
    } else if (event.key === 'Enter') onOpen?.(row);
  };
  const openUnlessOnControl = (event: MouseEvent<HTMLTableRowElement>, row: T) => {
    if ((event.target as Element).closest('a, button, input, select, label')) return;
    if (window.getSelection()?.toString()) return;
    onOpen?.(row);
  };

  return (
    <div className={classes.scroll}>
      {/* Roles are repeated because `display: block` on narrow screens takes the table's own away. */}
      {/* biome-ignore-start lint/a11y/noRedundantRoles: see above */}
      <table className={classes.table} aria-label={label} role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => {
              const direction = sort?.key === column.key ? (sort.descending ? 'descending' : 'ascending') : undefined;
              return (
                <th
                  key={column.key}
                  scope="col"
                  role="columnheader"
                  className={classes.head}
                  data-align={column.align}
                  aria-sort={direction}
                  style={{ width: column.width }}
                >
                  {column.sortBy ? (
                    <button
                      type="button"
                      className={classes.sort}
                      onClick={() => setSort({ key: column.key, descending: direction === 'ascending' })}
                    >
                      {column.header}
                      <span className={classes.arrow} aria-hidden>
                        {direction === 'ascending' ? '▲' : direction === 'descending' ? '▼' : ''}
                      </span>
                    </button>
                  ) : (
                    column.header
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody ref={body} role="rowgroup">
          {sorted.map((row, index) => (
            <tr
              key={rowKey(row)}
              role="row"
              className={classes.row}
              data-opens={onOpen ? true : undefined}
              tabIndex={onOpen && index === 0 ? 0 : -1}
              onKeyDown={(event) => moveFocus(event, row)}
              onClick={onOpen ? (event) => openUnlessOnControl(event, row) : undefined}
            >
              {columns.map((column, columnIndex) => (
                <td
                  key={column.key}
                  role="cell"
                  className={classes.cell}
                  data-align={column.align}
                  data-label={column.header || undefined}
                  data-narrow={column.narrow ?? (columnIndex === 0 ? 'title' : 'line')}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {/* biome-ignore-end lint/a11y/noRedundantRoles: see above */}
    </div>
  );
}

function sortRows<T>(rows: readonly T[], by: Column<T>['sortBy'], descending: boolean): readonly T[] {
  if (!by || by === 'server') return rows;
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const left = by(a);
    const right = by(b);
    if (typeof left === 'number' && typeof right === 'number') return sign * (left - right);
    return sign * String(left).localeCompare(String(right), 'en', { numeric: true });
  });
}
