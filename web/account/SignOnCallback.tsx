import { Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import {
  apiFetch,
  ButtonLink,
  CenteredShell,
  LoadingState,
  ProblemError,
  safeNext,
  useDocumentTitle,
} from '../design/index.ts';
import { useTenantTitle } from './api.ts';

interface Finished {
  readonly next: string | null;
  readonly secondFactor: boolean;
  readonly tested: string | null;
}

/** Where a provider of OpenID Connect sends the browser back. What it brought is handed on once, and is then gone from the address. */
export function SignOnCallback() {
  return <Finishing take={() => ({ path: '/-/api/sign-on/oidc', body: { query: window.location.search.slice(1) } })} />;
}

/** The answer to what a SAML provider had the browser post: what came with it stands in a form of this page. */
export function SamlCallback() {
  return <Finishing take={() => ({ path: '/-/api/sign-on/saml', body: takeSamlAnswer() })} />;
}

/** Once: it is gone from the page then. */
export function takeSamlAnswer() {
  const form = document.querySelector<HTMLFormElement>('#saml-answer');
  const fields = form ? new FormData(form) : undefined;
  form?.remove();
  const textOf = (name: string) => String(fields?.get(name) ?? '');
  return { samlResponse: textOf('samlResponse'), relayState: textOf('relayState') };
}

interface Answer {
  readonly path: string;
  readonly body: object;
}

function Finishing({ take }: { take: () => Answer }) {
  const title = useTenantTitle();
  useDocumentTitle(`Sign in to ${title}`);
  const navigate = useNavigate();
  const begun = useRef(false);
  const finish = useMutation({
    mutationFn: ({ path, body }: Answer) => apiFetch<Finished>(path, { method: 'POST', body }),
    meta: { expects401: true },
    onSuccess: ({ next, secondFactor, tested }) => {
      if (tested !== null) void navigate({ to: '/single-sign-on', search: { tested }, replace: true });
      else if (secondFactor) void navigate({ to: '/sign-in/code', search: next ? { next } : {}, replace: true });
      // The app is another page bundle.
      else window.location.replace(safeNext(next ?? undefined));
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    const answer = take();
    window.history.replaceState(null, '', window.location.pathname);
    finish.mutate(answer);
  }, []);
  const problem = finish.error instanceof ProblemError ? finish.error.problem : undefined;
  return (
    <CenteredShell name={title}>
      {finish.isError ? (
        <>
          <Title order={1}>{problem?.title ?? 'This did not work'}</Title>
          <Text role="alert" mt="xs" mb="lg">
            {problem?.hint ?? 'Begin again.'}
          </Text>
          <ButtonLink to="/sign-in">Back to sign-in</ButtonLink>
        </>
      ) : (
        <>
          <Title order={1} mb="lg">
            Signing you in
          </Title>
          <LoadingState rows={2} label="Signing you in" />
        </>
      )}
    </CenteredShell>
  );
}
