import { Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { apiFetch, ButtonLink, CenteredShell, LoadingState, ProblemError, useDocumentTitle } from '../design/index.ts';
import { useTenantTitle } from './api.ts';
import { takeSamlAnswer } from './SignOnCallback.tsx';

const route = getRouteApi('/sign-on/saml/log-out/$id');

/** Where the organisation sends the browser back after it was asked to sign out. Here everything is over already; this says what became of it there. */
export function SamlLogOut() {
  useDocumentTitle('Signed out');
  const { id } = route.useParams();
  const begun = useRef(false);
  const finish = useMutation({
    mutationFn: (body: object) =>
      apiFetch<{ organisation: string; succeeded: boolean }>(`/-/api/sign-on/saml/log-out/${id}`, {
        method: 'POST',
        body,
      }),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    const query = window.location.search.slice(1);
    window.history.replaceState(null, '', window.location.pathname);
    finish.mutate(query ? { query } : takeSamlAnswer());
  }, []);
  return (
    <CenteredShell name={useTenantTitle()}>
      <Title order={1}>
        {finish.data
          ? 'You are signed out'
          : finish.isError
            ? 'Whether you are signed out is not known'
            : 'Signing you out'}
      </Title>
      {finish.data ? (
        <Text role="status" mt="xs" mb="lg">
          {finish.data.succeeded
            ? `Here, and at ${finish.data.organisation}.`
            : `Here. But ${finish.data.organisation} could not sign you out everywhere. Sign out there yourself, or close the browser.`}
        </Text>
      ) : finish.isError ? (
        <Text role="alert" mt="xs" mb="lg">
          {(finish.error instanceof ProblemError && finish.error.problem.hint) ||
            'Look at your organisation, and here.'}
        </Text>
      ) : (
        <LoadingState rows={2} label="Asking your organisation" />
      )}
      <ButtonLink to="/sign-in">Sign in again</ButtonLink>
    </CenteredShell>
  );
}
