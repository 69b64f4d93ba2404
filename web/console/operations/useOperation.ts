import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useLiveEvents } from '../../design/index.ts';
import { type Operation, operationQuery } from '../api.ts';

/** One operation, live: by server-sent events, and by asking again every two seconds where the stream does not come through. */
export function useOperation(operationId: string | undefined) {
  const queryClient = useQueryClient();
  const query = useQuery({
    ...operationQuery(operationId ?? ''),
    enabled: operationId !== undefined,
    refetchInterval: ({ state }) => (state.data && state.data.state !== 'running' ? false : 2_000),
  });
  const isRunning = query.data?.state === 'running';
  const receive = (data: unknown) => {
    if (isOperation(data)) queryClient.setQueryData(operationQuery(data.operationId).queryKey, data);
  };
  useLiveEvents(operationId && `/api/operations/${encodeURIComponent(operationId)}/events`, {
    events: { operation: receive, message: receive },
    enabled: isRunning,
  });

  // What an operation changes is shown on other pages too. A quick one is over when it is first seen.
  const endedId = query.data && !isRunning ? operationId : undefined;
  useEffect(() => {
    if (endedId === undefined) return;
    void queryClient.invalidateQueries({ queryKey: ['tenants'] });
    void queryClient.invalidateQueries({ queryKey: ['tenant'] });
    void queryClient.invalidateQueries({ queryKey: ['operations'] });
  }, [endedId, queryClient]);
  return query;
}

function isOperation(data: unknown): data is Operation {
  return typeof data === 'object' && data !== null && 'operationId' in data && 'steps' in data;
}
