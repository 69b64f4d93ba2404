/** Everything the page reads from the server, as query options: one place for keys and addresses. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../../../../web/design/index.ts';
import type {
  AttachmentList,
  CommentList,
  HistoryList,
  Import,
  ImportList,
  Item,
  ItemList,
  Me,
  Project,
  ProjectList,
  RefusedList,
  Summary,
  TagList,
  UserList,
} from '../../api.ts';
import { filtersOf, type ItemSearch, sortOf, toQueryString } from './search.ts';

export const keys = {
  me: ['me'],
  users: ['users'],
  summary: ['summary'],
  projects: ['projects'],
  tags: ['tags'],
  boards: ['board'],
  lists: ['items'],
  imports: ['imports'],
  item: (key: string) => ['item', key.toUpperCase()],
} as const;

const encode = encodeURIComponent;
const itemPath = (key: string) => `/api/items/${encode(key.toUpperCase())}`;

export const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: ({ signal }) => apiFetch<Me>('/api/me', { signal }),
  staleTime: 60_000,
});

export const usersQuery = queryOptions({
  queryKey: keys.users,
  queryFn: ({ signal }) => apiFetch<UserList>('/api/users', { signal }),
  staleTime: 60_000,
});

export const summaryQuery = queryOptions({
  queryKey: keys.summary,
  queryFn: ({ signal }) => apiFetch<Summary>('/api/summary', { signal }),
});

export const projectsQuery = (archived: 'true' | 'false' | 'all' = 'false') =>
  queryOptions({
    queryKey: [...keys.projects, archived],
    queryFn: ({ signal }) => apiFetch<ProjectList>(`/api/projects?archived=${archived}`, { signal }),
    staleTime: 30_000,
  });

export const projectQuery = (key: string) =>
  queryOptions({
    queryKey: [...keys.projects, 'one', key],
    queryFn: ({ signal }) => apiFetch<Project>(`/api/projects/${encode(key)}`, { signal }),
    staleTime: 30_000,
  });

export const tagsQuery = (project?: string) =>
  queryOptions({
    queryKey: [...keys.tags, project ?? ''],
    queryFn: ({ signal }) => apiFetch<TagList>(`/api/tags${toQueryString({ project, limit: 100 })}`, { signal }),
    staleTime: 30_000,
  });

export const itemsQuery = (search: ItemSearch) => {
  const query = { ...filtersOf(search), sort: sortOf(search), limit: 50 };
  return infiniteQueryOptions({
    queryKey: [...keys.lists, query],
    queryFn: ({ signal, pageParam }) =>
      apiFetch<ItemList>(`/api/items${toQueryString({ ...query, cursor: pageParam })}`, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  });
};

export const itemQuery = (key: string) =>
  queryOptions({
    queryKey: keys.item(key),
    queryFn: ({ signal }) => apiFetch<Item>(itemPath(key), { signal }),
  });

export const commentsQuery = (key: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.item(key), 'comments'],
    queryFn: ({ signal, pageParam }) =>
      apiFetch<CommentList>(`${itemPath(key)}/comments${toQueryString({ limit: 100, cursor: pageParam })}`, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  });

export const attachmentsQuery = (key: string) =>
  queryOptions({
    queryKey: [...keys.item(key), 'attachments'],
    queryFn: ({ signal }) => apiFetch<AttachmentList>(`${itemPath(key)}/attachments`, { signal }),
  });

export const historyQuery = (key: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.item(key), 'history'],
    queryFn: ({ signal, pageParam }) =>
      apiFetch<HistoryList>(`${itemPath(key)}/history${toQueryString({ limit: 50, cursor: pageParam })}`, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  });

export const importsQuery = queryOptions({
  queryKey: [...keys.imports, 'all'],
  queryFn: ({ signal }) => apiFetch<ImportList>('/api/imports', { signal }),
});

/** Live events bring progress; asking every second covers the case that one is lost. */
export const importQuery = (importId: string) =>
  queryOptions({
    queryKey: [...keys.imports, importId],
    queryFn: ({ signal }) => apiFetch<Import>(`/api/imports/${encode(importId)}`, { signal }),
    refetchInterval: (query) => (query.state.data?.state === 'running' ? 1_000 : false),
  });

export const refusedQuery = (importId: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.imports, importId, 'refused'],
    queryFn: ({ signal, pageParam }) =>
      apiFetch<RefusedList>(
        `/api/imports/${encode(importId)}/refused${toQueryString({ limit: 50, cursor: pageParam })}`,
        { signal },
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  });
