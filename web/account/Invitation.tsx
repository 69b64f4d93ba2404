import { Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import {
  apiFetch,
  ButtonLink,
  CenteredShell,
  ErrorState,
  LoadingState,
  NewPassword,
  ProblemError,
  ProblemNotice,
  RelativeTime,
  useDocumentTitle,
} from '../design/index.ts';
import { type Role, useTenantTitle } from './api.ts';
import { roleWords } from './words.ts';

interface OpenInvitation {
  readonly email: string;
  readonly role: Role;
  readonly name?: string | null;
  /** Name of who invites; missing when the operator made the invitation. */
  readonly invitedBy?: string | null;
  readonly expiresAt: string;
}

export function Invitation() {
  const title = useTenantTitle();
  useDocumentTitle(`Invitation to ${title}`);
  const { token } = useParams({ strict: false }) as { token: string };
  const url = `/-/api/invitations/${encodeURIComponent(token)}`;
  const invitation = useQuery({
    queryKey: ['invitation', token],
    queryFn: ({ signal }) => apiFetch<OpenInvitation>(url, { signal }),
    meta: { expects401: true },
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <CenteredShell name={title} size="wide">
      {invitation.isPending && <LoadingState rows={5} />}
      {invitation.isError && (
        <ErrorState
          plain
          level={1}
          error={invitation.error}
          onRetry={() => void invitation.refetch()}
          action={
            <ButtonLink to="/sign-in" variant="default">
              I have a password already
            </ButtonLink>
          }
        />
      )}
      {invitation.data && <AcceptForm url={url} tenantTitle={title} invitation={invitation.data} />}
    </CenteredShell>
  );
}

function AcceptForm(props: { url: string; tenantTitle: string; invitation: OpenInvitation }) {
  const { invitation, tenantTitle } = props;
  const [name, setName] = useState(invitation.name ?? '');
  const [password, setPassword] = useState('');
  const [missing, setMissing] = useState<{ name?: string; password?: string }>({});
  const accept = useMutation({
    mutationFn: () => apiFetch(props.url, { method: 'POST', body: { name: name.trim(), password } }),
    meta: { expects401: true },
    onSuccess: () => window.location.assign('/'),
  });
  const fields = fieldProblems(accept.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing({
      ...(name.trim() ? {} : { name: 'Enter your name, as others should see it.' }),
      ...(password ? {} : { password: 'Choose a password.' }),
    });
    if (name.trim() && password) accept.mutate();
  };
  return (
    <>
      <Title order={1}>Join {tenantTitle}</Title>
      <Text c="dimmed" mt="xs" mb="lg">
        {invitation.invitedBy ? `${invitation.invitedBy} invites you` : 'You are invited'} to {tenantTitle} as{' '}
        {roleWords[invitation.role].withArticle}. The invitation ends <RelativeTime value={invitation.expiresAt} />.
      </Text>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput
            label="E-mail"
            description="You will sign in with this address."
            name="username"
            autoComplete="username"
            value={invitation.email}
            readOnly
          />
          <TextInput
            label="Your name"
            name="name"
            autoComplete="name"
            autoFocus
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={missing.name ?? fields.name}
          />
          <NewPassword
            checkUrl="/-/api/password-check"
            label="Choose a password"
            value={password}
            onChange={setPassword}
            context={{ email: invitation.email, name }}
            error={missing.password ?? fields.password}
          />
          {!fields.name && !fields.password && <ProblemNotice error={accept.error} />}
          <Button type="submit" loading={accept.isPending || accept.isSuccess}>
            Join {tenantTitle}
          </Button>
        </Stack>
      </form>
    </>
  );
}

/** Refusals that are about one field. */
function fieldProblems(error: unknown): { readonly name?: string; readonly password?: string } {
  if (!(error instanceof ProblemError)) return {};
  const { code, fields, title, detail, hint } = error.problem;
  const text = [detail ?? `${title}.`, hint].filter(Boolean).join(' ');
  if (code === 'FH_PASSWORD_REFUSED') return { password: text };
  if (code === 'FH_NAME_REFUSED') return { name: text };
  return fields;
}
