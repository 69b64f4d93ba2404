import { Text, Title } from '@mantine/core';
import { CenteredShell, TextLink, useDocumentTitle } from '../design/index.ts';

export function NotFound() {
  useDocumentTitle('Nothing here');
  return (
    <CenteredShell name="Freehold console">
      <Title order={1}>There is nothing at this address</Title>
      <Text c="dimmed" mt="xs" mb="md">
        The link may be incomplete, or what it led to is gone. Check the address.
      </Text>
      <TextLink to="/tenants">Go to the tenants</TextLink>
    </CenteredShell>
  );
}
