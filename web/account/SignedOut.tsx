import { Anchor, Text, Title } from '@mantine/core';
import { ButtonLink, CenteredShell, useDocumentTitle } from '../design/index.ts';
import { useTenantTitle } from './api.ts';

export function SignedOut() {
  useDocumentTitle('Signed out');
  return (
    <CenteredShell name={useTenantTitle()}>
      <Title order={1}>You are signed out</Title>
      <Text c="dimmed" mt="xs" mb="lg">
        This device has forgotten your session. Signed in elsewhere as well? Sign in and choose{' '}
        <b>Sign out everywhere</b> on your{' '}
        <Anchor href="/-/account" underline="always">
          account page
        </Anchor>
        .
      </Text>
      <ButtonLink to="/sign-in">Sign in again</ButtonLink>
    </CenteredShell>
  );
}
