/**
 * What other people (and other tabs) change, seen here. Events carry ids and versions only; what is shown is fetched again,
 * at most about once a second however many events come. The page's own changes come back as events too: known versions need nothing.
 */
import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { type LiveState, useLiveEvents } from '../../../../web/design/index.ts';
import type { Board, Import, LiveEvent } from '../../api.ts';
import { dropItem, findItemKey, findItemProject, findKnownVersion } from './cache.ts';
import { moveMutationKey, takeOwnMove } from './moveCard.ts';
import { keys } from './queries.ts';

type DataOf<T extends LiveEvent['type']> = Extract<LiveEvent, { type: T }>['data'];
type Handlers = { [T in LiveEvent['type']]: (data: DataOf<T>) => void };

const shortestPauseMs = 150;
const longestPauseMs = 1_200;

export function useDeskLive(): LiveState {
  const queryClient = useQueryClient();
  const refresher = useMemo(() => createRefresher(queryClient), [queryClient]);
  const events = useMemo(() => createHandlers(queryClient, refresher.want), [queryClient, refresher]);
  useEffect(() => refresher.stop, [refresher]);
  return useLiveEvents('/api/events', {
    events: events as unknown as Record<string, (data: unknown) => void>,
    onReconnect: () => void queryClient.invalidateQueries(),
  });
}

function createHandlers(queryClient: QueryClient, want: (projectId: string) => void): Handlers {
  // Comments and files count on cards and rows too; they do not change the item's version.
  const refreshTalk = (itemId: string) => {
    const key = findItemKey(queryClient, itemId);
    if (key) void queryClient.invalidateQueries({ queryKey: keys.item(key) });
    const projectId = findItemProject(queryClient, itemId);
    if (projectId) want(projectId);
  };
  return {
    'item.changed': ({ itemId, projectId, version, change }) => {
      const known = findKnownVersion(queryClient, itemId);
      const own = takeOwnMove(itemId);
      if (known !== undefined && known >= version && (change !== 'moved' || own)) return;
      const key = findItemKey(queryClient, itemId);
      if (key && change !== 'moved') {
        void queryClient.invalidateQueries({ queryKey: keys.item(key), exact: true });
        void queryClient.invalidateQueries({ queryKey: [...keys.item(key), 'history'] });
      }
      want(projectId);
    },
    'items.changed': ({ projectIds }) => {
      void queryClient.invalidateQueries({ queryKey: ['item'] });
      void queryClient.invalidateQueries({ queryKey: keys.tags });
      for (const projectId of projectIds) want(projectId);
    },
    'item.deleted': ({ itemId, projectId }) => {
      const key = findItemKey(queryClient, itemId);
      if (key) void queryClient.invalidateQueries({ queryKey: keys.item(key), exact: true });
      dropItem(queryClient, itemId);
      want(projectId);
    },
    'comment.changed': ({ itemId }) => refreshTalk(itemId),
    'attachment.changed': ({ itemId }) => refreshTalk(itemId),
    'project.changed': ({ projectId }) => {
      void queryClient.invalidateQueries({ queryKey: keys.projects });
      want(projectId);
    },
    'import.progress': ({ importId, state, progress }) => {
      queryClient.setQueryData<Import>([...keys.imports, importId], (known) =>
        known && known.state === 'running' && state === 'running' ? { ...known, progress } : known,
      );
      const known = queryClient.getQueryData<Import>([...keys.imports, importId]);
      if (known?.state !== state) void queryClient.invalidateQueries({ queryKey: keys.imports });
    },
  };
}

/** Collects wishes; fetches soon after the first, then not more often than the pause, and never into a move under way. */
function createRefresher(queryClient: QueryClient): { want: (projectId: string) => void; stop: () => void } {
  const projectIds = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastMs = 0;
  const refresh = () => {
    timer = undefined;
    if (queryClient.isMutating({ mutationKey: moveMutationKey }) > 0) {
      timer = setTimeout(refresh, shortestPauseMs);
      return;
    }
    lastMs = Date.now();
    const touched = new Set(projectIds);
    projectIds.clear();
    void queryClient.invalidateQueries({
      queryKey: keys.boards,
      predicate: (query) => {
        const board = query.state.data as Board | undefined;
        return board === undefined || touched.has(board.project.id);
      },
    });
    void queryClient.invalidateQueries({ queryKey: keys.lists });
    void queryClient.invalidateQueries({ queryKey: keys.summary });
    void queryClient.invalidateQueries({ queryKey: keys.projects });
  };
  return {
    want: (projectId) => {
      projectIds.add(projectId);
      timer ??= setTimeout(refresh, Math.max(shortestPauseMs, longestPauseMs - (Date.now() - lastMs)));
    },
    stop: () => {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
