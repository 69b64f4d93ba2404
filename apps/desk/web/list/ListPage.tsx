/** Items as a dense table: filter, sort, select several and change them together, take them along as CSV. */
import { Button, Select } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import {
  ButtonLink,
  EmptyState,
  ErrorState,
  formatCount,
  LoadingState,
  useDocumentTitle,
} from '../../../../web/design/index.ts';
import type { ItemSummary, Total } from '../../api.ts';
import { itemsQuery, projectQuery, projectsQuery } from '../data/queries.ts';
import {
  countFilters,
  filtersOf,
  type ItemSearch,
  joinChoices,
  sortOf,
  splitChoices,
  toQueryString,
} from '../data/search.ts';
import { useSearchChange } from '../data/useSearchChange.ts';
import { sortWords } from '../data/words.ts';
import { WithItemPanel } from '../item/WithItemPanel.tsx';
import { ChoicePicker } from '../items/ChoicePicker.tsx';
import { useCreateItem } from '../items/CreateItemDialog.tsx';
import { FilterBar } from '../items/FilterBar.tsx';
import { IconDownload } from '../items/icons.ts';
import { ProjectHead } from '../projects/ProjectHead.tsx';
import { BulkBar } from './BulkBar.tsx';
import { ItemTable } from './ItemTable.tsx';
import classes from './ListPage.module.css';
import { useListKeys } from './useListKeys.ts';
import { useSelection } from './useSelection.ts';

export function ListPage({ projectKey, search: asked }: { projectKey?: string; search: ItemSearch }) {
  const search = projectKey ? { ...asked, project: projectKey } : asked;
  const project = useQuery({ ...projectQuery(projectKey ?? ''), enabled: projectKey !== undefined });
  const list = useInfiniteQuery(itemsQuery(search));
  const change = useSearchChange();
  const create = useCreateItem();
  useDocumentTitle(projectKey ? `${project.data?.name ?? projectKey} list` : 'Items');

  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const total = list.data?.pages[0]?.total;
  const selection = useSelection(items);
  const open = useCallback((item: ItemSummary, how: 'replace' | 'push') => change({ item: item.key }, how), [change]);
  const keys = useListKeys(items, {
    openedKey: asked.item,
    onOpen: open,
    onToggle: selection.toggle,
    onEscape: selection.clear,
  });
  const filtered = countFilters(search, ['project']) > 0;
  const readOnly = project.data?.archived ?? false;

  return (
    <WithItemPanel
      itemKey={asked.item}
      height="flow"
      onClose={() => {
        change({ item: undefined });
        keys.refocus();
      }}
    >
      {projectKey ? (
        <ProjectHead projectKey={projectKey} project={project.data} view="list" search={asked} />
      ) : (
        <h1 className={classes.title}>Items</h1>
      )}
      <FilterBar search={asked} onChange={change} {...(projectKey ? { project: projectKey } : {})}>
        {!projectKey && <ProjectFilter search={asked} onChange={change} />}
        <Select
          size="xs"
          aria-label="Order"
          className={classes.sort}
          data={Object.entries(sortWords)
            .filter(([value]) => value !== '-relevance' || asked.q)
            .map(([value, label]) => ({ value, label }))}
          value={sortOf(asked) in sortWords ? sortOf(asked) : null}
          placeholder="Order"
          onChange={(sort) => change({ sort: sort ?? undefined })}
        />
        <Button
          size="xs"
          variant="default"
          component="a"
          href={`/api/exports/items.csv${toQueryString({ ...filtersOf(search), sort: sortOf(asked) })}`}
          download
          leftSection={<IconDownload size={14} />}
        >
          CSV
        </Button>
      </FilterBar>
      {list.error && !list.data ? (
        <ErrorState error={list.error} onRetry={() => void list.refetch()} />
      ) : !list.data ? (
        <LoadingState rows={12} label="Loading items" />
      ) : items.length === 0 ? (
        <NoItems
          filtered={filtered}
          onClear={() => change(Object.fromEntries(Object.keys(filtersOf(asked)).map((name) => [name, undefined])))}
          onCreate={() => create.open({ project: projectKey })}
        />
      ) : (
        <>
          <p className={classes.count} role="status">
            {countWords(items.length, total)}
          </p>
          <ItemTable
            items={items}
            search={asked}
            busy={list.isPlaceholderData}
            withProject={!projectKey}
            selection={selection}
            keys={keys}
            readOnly={readOnly}
            onOpen={open}
            onSort={(sort) => change({ sort })}
          />
          {list.hasNextPage && (
            <div className={classes.more}>
              <Button variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                Show 50 more
              </Button>
            </div>
          )}
        </>
      )}
      <BulkBar selection={selection} {...(projectKey ? { project: projectKey } : {})} />
    </WithItemPanel>
  );
}

function countWords(shown: number, total: Total | undefined): string {
  if (!total) return '';
  const all = total.exact ? formatCount(total.count) : `more than ${formatCount(total.count)}`;
  if (total.exact && total.count === shown) return shown === 1 ? '1 item' : `${all} items`;
  return `${formatCount(shown)} of ${all} items`;
}

function ProjectFilter(props: { search: ItemSearch; onChange: (change: Partial<ItemSearch>) => void }) {
  const { data } = useQuery(projectsQuery());
  const selected = splitChoices(props.search.project);
  return (
    <ChoicePicker
      label="Project"
      look="button"
      choices={(data?.projects ?? []).map((project) => ({
        value: project.key,
        label: project.name,
        note: project.key,
      }))}
      selected={selected}
      multiple
      searchable
      active={selected.length > 0}
      onChange={(values) => props.onChange({ project: joinChoices(values) })}
    >
      <span>
        Project
        {selected.length > 0 && `: ${selected[0]}`}
        {selected.length > 1 && ` +${selected.length - 1}`}
      </span>
    </ChoicePicker>
  );
}

function NoItems(props: { filtered: boolean; onClear: () => void; onCreate: () => void }) {
  if (props.filtered) {
    return (
      <EmptyState
        title="No item matches"
        action={
          <Button variant="default" onClick={props.onClear}>
            Clear search and filters
          </Button>
        }
      >
        Try fewer words or filters. Items of archived projects are found in their project’s own list only.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      title="No items yet"
      action={
        <div className={classes.actions}>
          <Button onClick={props.onCreate}>Create an item</Button>
          <ButtonLink to="/projects" variant="default">
            See projects
          </ButtonLink>
        </div>
      }
    >
      Create one with the key c, or bring the tickets of another system along as a CSV file.
    </EmptyState>
  );
}
