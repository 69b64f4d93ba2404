import { Box, Button, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { apiFetch, Notice, notifyProblem, RelativeTime } from '../design/index.ts';
import { sessionEndQuery, sessionNoticesQuery } from './api.ts';
import { describeDevice } from './words.ts';

/** On the sign-in page of the browser whose session it was. */
export function SessionEnded() {
  const { data } = useQuery({ ...sessionEndQuery, retry: false });
  if (data?.reason !== 'key_reused') return null;
  return (
    <Box mb="md">
      <Notice tone="urgent" title="Your session was ended for your safety" role="status">
        <Text size="sm">
          An old key of it was used again. Somebody may have copied the cookies of this browser. Sign in, change your
          password, and have this device looked at if you do not know why.
        </Text>
      </Notice>
    </Box>
  );
}

/** On the account page, until the user has read them. */
export function SessionNotices() {
  const queryClient = useQueryClient();
  const { data: notices = [] } = useQuery(sessionNoticesQuery);
  const dismiss = useMutation({
    mutationFn: () => apiFetch('/-/api/session-notices', { method: 'DELETE' }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: sessionNoticesQuery.queryKey }),
    onError: notifyProblem,
  });
  if (notices.length === 0) return null;
  return (
    <Notice tone="urgent" title="A session of yours was ended for your safety">
      {notices.map(({ sessionId, userAgent, address, endedAt }) => (
        <Text key={sessionId} size="sm">
          {describeDevice(userAgent)}: an old key of it was used again{address ? ` from ${address}` : ''},{' '}
          <RelativeTime value={endedAt} />.
        </Text>
      ))}
      <Text size="sm" mt={4}>
        Somebody may have copied the cookies of that browser. Change your password and look at your devices below.
      </Text>
      <Button mt="xs" size="compact-sm" variant="default" loading={dismiss.isPending} onClick={() => dismiss.mutate()}>
        I have read this
      </Button>
    </Notice>
  );
}
