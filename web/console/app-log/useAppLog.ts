import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { type LogPage, openLog, readOn } from './api.ts';

const followEveryMs = 2_000;
/** What a page can hold and search without a stutter. */
export const mostLines = 2_000;

export interface LogLine {
  readonly number: number;
  readonly text: string;
  /** Lines are missing before this one. */
  readonly hasGap: boolean;
}

/** Opens the log when told, and goes on with what the app writes. */
export function useAppLog(tenantId: string, isFollowing: boolean) {
  const { withStepUp } = useStepUp();
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [cursor, setCursor] = useState<string>();
  const [error, setError] = useState<unknown>();
  const count = useRef(0);

  const take = (page: LogPage) => {
    const fresh = page.lines.map((text, index) => ({
      number: ++count.current,
      text,
      hasGap: page.hasGap && index === 0,
    }));
    if (fresh.length > 0) setLines((shown) => [...shown, ...fresh].slice(-mostLines));
    setCursor(page.cursor);
  };

  const opening = useMutation({
    mutationFn: () => withStepUp(() => openLog(tenantId, mostLines)),
    onSuccess: (page) => {
      setLines([]);
      setError(undefined);
      take(page);
    },
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: `take` reads nothing of this render
  useEffect(() => {
    if (cursor === undefined || !isFollowing || error) return;
    const stopping = new AbortController();
    const read = async () => {
      try {
        take(await readOn(tenantId, cursor, stopping.signal));
      } catch (problem) {
        if (!stopping.signal.aborted) setError(problem);
      }
    };
    let timer: number;
    // The cursor stays the same while nothing is written, and this effect with it.
    const again = () => {
      timer = window.setTimeout(() => void read().then(() => !stopping.signal.aborted && again()), followEveryMs);
    };
    again();
    return () => {
      stopping.abort();
      window.clearTimeout(timer);
    };
  }, [tenantId, cursor, isFollowing, error]);

  return {
    lines,
    isOpen: cursor !== undefined,
    isOpening: opening.isPending,
    /** Why it could not be opened, or is not read on. */
    error: opening.error ?? error,
    open: () => opening.mutate(),
  };
}
