import { Anchor, Text, Title } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { ButtonLink, CenteredShell, useDocumentTitle } from '../design/index.ts';
import { useTenantTitle } from './api.ts';

const route = getRouteApi('/signed-out');

export function SignedOut() {
  useDocumentTitle('Signed out');
  const { organisation } = route.useSearch();
  return (
    <CenteredShell name={useTenantTitle()}>
      <Title order={1}>You are signed out</Title>
      {organisation === 'not-asked' && (
        <Text role="alert" mt="xs">
          Your organisation could not be asked to sign you out. If you use a shared computer, sign out there yourself.
        </Text>
      )}
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
