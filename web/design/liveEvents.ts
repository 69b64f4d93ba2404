import { useEffect, useRef, useState } from 'react';

export type LiveState = 'off' | 'connecting' | 'live' | 'reconnecting';

export interface LiveEventsOptions {
  /** Per event type of the stream; `message` for events without a type. Data is parsed JSON, or the text itself. */
  readonly events: Readonly<Record<string, (data: unknown) => void>>;
  /** The stream is open again after a break: anything may have been missed, so ask for the whole state. */
  readonly onReconnect?: () => void;
  /** Default: true. */
  readonly enabled?: boolean;
}

const firstRetryMs = 500;
const longestRetryMs = 15_000;

/**
 * Listens to a stream of server-sent events of our own origin, and comes back after breaks:
 * EventSource gives up on an HTTP error (a restart behind the gateway), so that case is retried here, slower and slower.
 */
export function useLiveEvents(url: string | undefined, options: LiveEventsOptions): LiveState {
  const latest = useRef(options);
  latest.current = options;
  const enabled = options.enabled ?? true;
  const types = Object.keys(options.events).sort().join(' ');
  const [state, setState] = useState<LiveState>('off');

  useEffect(() => {
    if (!url || !enabled) {
      setState('off');
      return;
    }
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let retryMs = firstRetryMs;
    let wasLive = false;
    const open = () => {
      setState(wasLive ? 'reconnecting' : 'connecting');
      source = new EventSource(url);
      source.addEventListener('open', () => {
        retryMs = firstRetryMs;
        setState('live');
        if (wasLive) latest.current.onReconnect?.();
        wasLive = true;
      });
      source.addEventListener('error', () => {
        setState('reconnecting');
        if (source?.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, retryMs * (0.75 + Math.random() / 2));
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      });
      for (const type of types.split(' ')) {
        source.addEventListener(type, (event) =>
          latest.current.events[type]?.(parseData((event as MessageEvent).data)),
        );
      }
    };
    open();
    return () => {
      clearTimeout(timer);
      source?.close();
    };
  }, [url, enabled, types]);

  return state;
}

function parseData(data: unknown): unknown {
  if (typeof data !== 'string') return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}
