import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { apiFetch, notifyDone, ProblemNotice } from '../design/index.ts';

interface Revocable {
  readonly tokenId: string;
  readonly name: string;
  readonly expired: boolean;
}

export interface RevokeTokenProps {
  /** Undefined: nobody asks. */
  readonly token: Revocable | undefined;
  /** Of its kind of token; its id comes behind it. */
  readonly revokePath: string;
  /** First part of the key of what lists them. */
  readonly queryKey: string;
  /** What becomes of it while it is good. */
  readonly consequence: string;
  readonly onClose: () => void;
}

export function RevokeToken({ token, revokePath, queryKey, consequence, onClose }: RevokeTokenProps) {
  const queryClient = useQueryClient();
  const revoke = useMutation({
    mutationFn: ({ tokenId }: Revocable) =>
      apiFetch(`${revokePath}/${encodeURIComponent(tokenId)}`, { method: 'DELETE' }),
    onSuccess: async (_, { name }) => {
      await queryClient.invalidateQueries({ queryKey: [queryKey] });
      notifyDone(`“${name}” is revoked.`);
      close();
    },
  });
  const close = () => {
    revoke.reset();
    onClose();
  };
  return (
    <Modal opened={token !== undefined} onClose={close} title={<Text fw={600}>Revoke “{token?.name}”</Text>}>
      <Stack gap="md">
        <Text>{token?.expired ? 'It has expired already; it only leaves this list.' : consequence}</Text>
        <ProblemNotice error={revoke.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button data-autofocus color="red" loading={revoke.isPending} onClick={() => token && revoke.mutate(token)}>
            Revoke token
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
