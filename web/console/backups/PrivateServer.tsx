import { Text } from '@mantine/core';

/** Whose base backup it is, when it is not the shared server's. */
export function PrivateServer({ name }: { name: string }) {
  return (
    <Text size="sm" c="dimmed">
      of private server {name}
    </Text>
  );
}
