import { Text, Title } from '@mantine/core';
import { ButtonLink, CenteredShell, useDocumentTitle } from '../design/index.ts';

export function SignedOut() {
  useDocumentTitle('Signed out');
  return (
    <CenteredShell name="Freehold console">
      <Title order={1}>You are signed out</Title>
      <Text c="dimmed" mt="xs" mb="lg">
        This device has forgotten your session. Operations that were running go on.
      </Text>
      <ButtonLink to="/sign-in">Sign in again</ButtonLink>
    </CenteredShell>
  );
}
