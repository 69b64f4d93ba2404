import { Button, Divider, Stack } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { ProblemNotice } from '../design/index.ts';
import { goToProvider, offeredQuery } from './sign-on-api.ts';

/** Continue with NAME, for each connection. Nothing where there is none. `isOnlyWay`: nothing else follows on the page. */
export function SignOnButtons({ next, isOnlyWay }: { next: string | undefined; isOnlyWay: boolean }) {
  const { data } = useQuery(offeredQuery);
  const go = useMutation({
    mutationFn: (connectionId: string) => goToProvider('/-/api/sign-on/start', { connectionId, ...(next && { next }) }),
  });
  if (!data || data.connections.length === 0) return null;
  return (
    <Stack gap="sm" mb="md">
      {data.connections.map(({ connectionId, name }) => (
        <Button
          key={connectionId}
          variant={isOnlyWay ? 'filled' : 'default'}
          fullWidth
          loading={(go.isPending || go.isSuccess) && go.variables === connectionId}
          onClick={() => go.mutate(connectionId)}
        >
          Continue with {name}
        </Button>
      ))}
      <ProblemNotice error={go.error} />
      {!isOnlyWay && <Divider label="or with your e-mail address" labelPosition="center" />}
    </Stack>
  );
}
