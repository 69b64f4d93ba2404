import { Button, Divider, Stack } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { ProblemNotice } from '../design/index.ts';
import { goToProvider, offeredQuery } from './sign-on-api.ts';

/** Continue with NAME, for each connection. Nothing where there is none. */
export function SignOnButtons({ next }: { next: string | undefined }) {
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
          variant={data.enforced ? 'filled' : 'default'}
          fullWidth
          loading={(go.isPending || go.isSuccess) && go.variables === connectionId}
          onClick={() => go.mutate(connectionId)}
        >
          Continue with {name}
        </Button>
      ))}
      <ProblemNotice error={go.error} />
      {!data.enforced && <Divider label="or with a password" labelPosition="center" />}
    </Stack>
  );
}
