/** Files on their way to the server, with progress; they go one after the other. */
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { apiUpload, formatBytes, toProblem } from '../../../../web/design/index.ts';
import type { Attachment } from '../../api.ts';
import { keys } from '../data/queries.ts';
import { announce } from '../shell/announce.tsx';

export interface Upload {
  readonly id: number;
  readonly name: string;
  readonly sizeBytes: number;
  /** Share of the bytes sent, 0…1. */
  readonly share: number;
  /** Set when it was refused. */
  readonly problem?: string;
}

export interface Uploads {
  readonly list: readonly Upload[];
  readonly add: (files: readonly File[]) => void;
  /** Stops it, or takes a refused one from the list. */
  readonly drop: (id: number) => void;
}

const mostBytes = 50 * 1024 * 1024;
let lastId = 0;

export function useUploads(itemKey: string): Uploads {
  const queryClient = useQueryClient();
  const [list, setList] = useState<readonly Upload[]>([]);
  const aborts = useRef(new Map<number, AbortController>());
  const chain = useRef<Promise<void>>(Promise.resolve());
  const change = useCallback((id: number, change: Partial<Upload> | undefined) => {
    setList((now) =>
      change
        ? now.map((each) => (each.id === id ? { ...each, ...change } : each))
        : now.filter((each) => each.id !== id),
    );
  }, []);

  useEffect(() => {
    const running = aborts.current;
    return () => {
      for (const abort of running.values()) abort.abort();
    };
  }, []);

  const send = useCallback(
    async (id: number, file: File, abort: AbortController) => {
      if (abort.signal.aborted) return;
      try {
        await apiUpload<Attachment>(`/api/items/${itemKey}/attachments`, file, {
          signal: abort.signal,
          onProgress: (share) => change(id, { share }),
        });
        change(id, undefined);
        announce(`${file.name} attached to ${itemKey}`);
        void queryClient.invalidateQueries({ queryKey: keys.item(itemKey) });
      } catch (error) {
        if (abort.signal.aborted) return;
        const problem = toProblem(error);
        change(id, { problem: [problem.title, problem.detail, problem.hint].filter(Boolean).join('. ') });
      } finally {
        aborts.current.delete(id);
      }
    },
    [itemKey, change, queryClient],
  );

  const add = useCallback(
    (files: readonly File[]) => {
      for (const file of files) {
        lastId += 1;
        const id = lastId;
        const upload: Upload = { id, name: file.name, sizeBytes: file.size, share: 0 };
        if (file.size > mostBytes) {
          const problem = `Too large: ${formatBytes(file.size)}. A file may have ${formatBytes(mostBytes)}.`;
          setList((now) => [...now, { ...upload, problem }]);
          continue;
        }
        const abort = new AbortController();
        aborts.current.set(id, abort);
        setList((now) => [...now, upload]);
        chain.current = chain.current.then(() => send(id, file, abort));
      }
    },
    [send],
  );

  const drop = useCallback(
    (id: number) => {
      aborts.current.get(id)?.abort();
      aborts.current.delete(id);
      change(id, undefined);
    },
    [change],
  );
  return { list, add, drop };
}
