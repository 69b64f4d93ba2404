import { Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, ButtonLink, CenteredShell, ProblemNotice, useDocumentTitle } from '../design/index.ts';
import { useTenantTitle } from './api.ts';

/** Asks for a link. What it says next is the same for every address. */
export function ForgotPassword() {
  const title = useTenantTitle();
  useDocumentTitle('Forgot your password?');
  const [missing, setMissing] = useState<string>();
  const ask = useMutation({
    mutationFn: (email: string) => apiFetch('/-/api/password-resets', { method: 'POST', body: { email } }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const email = String(new FormData(event.currentTarget).get('email') ?? '').trim();
    setMissing(email ? undefined : 'Enter your e-mail address.');
    if (email) ask.mutate(email);
  };
  if (ask.isSuccess)
    return (
      <CenteredShell name={title}>
        <Title order={1}>Look into your mailbox</Title>
        <Text role="status" mt="xs" mb="lg">
          If <b>{ask.variables}</b> belongs to a user of {title}, a link is on its way there. It works once, for 15
          minutes.
        </Text>
        <Text size="sm" c="dimmed" mb="lg">
          Nothing there? Look among the unwanted mail, or ask again in a few minutes. An administrator of {title} can
          tell you which address you are known by.
        </Text>
        <ButtonLink to="/sign-in" variant="default">
          Back to sign-in
        </ButtonLink>
      </CenteredShell>
    );
  return (
    <CenteredShell name={title}>
      <Title order={1}>Forgot your password?</Title>
      <Text c="dimmed" mt="xs" mb="lg">
        We send you a link with which you choose a new one.
      </Text>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput
            name="email"
            label="E-mail"
            type="email"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            error={missing}
          />
          <ProblemNotice error={ask.error} />
          <Button type="submit" fullWidth loading={ask.isPending}>
            Send me a link
          </Button>
          <ButtonLink to="/sign-in" variant="subtle">
            Back to sign-in
          </ButtonLink>
        </Stack>
      </form>
    </CenteredShell>
  );
}
