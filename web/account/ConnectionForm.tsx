import { Button, Checkbox, Group, Modal, PasswordInput, Radio, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, notifyDone, ProblemError, ProblemNotice } from '../design/index.ts';
import type { SessionUser } from './api.ts';
import { noSamlInput, SamlFields, samlBody } from './SamlFields.tsx';
import type { Connection, FactorTrust } from './sign-on-api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

interface FormProps {
  readonly onClose: () => void;
  readonly user: SessionUser;
  /** Undefined: a new one. */
  readonly connection?: Connection;
}

const trusts: Record<FactorTrust, { readonly label: string; readonly what: string }> = {
  own: { label: 'Never', what: 'Whoever has a second factor here is asked for it.' },
  evidence: {
    label: 'When the provider says so',
    what: 'It has to tell that it asked for one (amr, acr or AuthnContext).',
  },
  provider: { label: 'Always', what: 'Your provider asks everybody for a second factor. Look that it does.' },
};

export function ConnectionForm({ opened, ...props }: FormProps & { opened: boolean }) {
  const title = props.connection ? `Change ${props.connection.name}` : 'New connection';
  return (
    <Modal opened={opened} onClose={props.onClose} title={<Text fw={600}>{title}</Text>} size="lg">
      {opened && <Fields {...props} />}
    </Modal>
  );
}

function Fields({ onClose, user, connection }: FormProps) {
  const before = connection?.settings;
  const [kind, setKind] = useState(connection?.kind ?? 'oidc');
  const [saml, setSaml] = useState(noSamlInput);
  const [name, setName] = useState(connection?.name ?? '');
  const [issuer, setIssuer] = useState(before?.issuer ?? '');
  const [clientId, setClientId] = useState(before?.clientId ?? '');
  const [clientSecret, setClientSecret] = useState('');
  const [createsUsers, setCreatesUsers] = useState(before?.createsUsers ?? true);
  const [trustsEmails, setTrustsEmails] = useState(before?.trustsEmails ?? false);
  const [secondFactor, setSecondFactor] = useState<FactorTrust>(before?.secondFactor ?? 'own');
  const [roleClaim, setRoleClaim] = useState(before?.roleClaim ?? '');
  const [adminValues, setAdminValues] = useState(before?.adminValues.join(', ') ?? '');
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: (shown: Shown) => {
      const people = {
        name,
        createsUsers,
        trustsEmails,
        secondFactor,
        roleClaim: roleClaim.trim() || null,
        adminValues: adminValues.split(',').map((value) => value.trim()),
      };
      if (!connection)
        return apiFetch('/-/api/sign-on/connections', {
          method: 'POST',
          body: {
            kind,
            ...(kind === 'saml' ? samlBody(saml, true) : { issuer, clientId, clientSecret }),
            ...people,
            ...shown,
          },
        });
      const changed =
        kind === 'saml'
          ? samlBody(saml, false)
          : {
              ...(clientId !== before?.clientId && { clientId }),
              ...(clientSecret && { clientSecret }),
            };
      return apiFetch(`/-/api/sign-on/connections/${connection.connectionId}`, {
        method: 'PATCH',
        body: { ...changed, ...people, ...shown },
      });
    },
    meta: { expects401: true },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['sign-on'] });
      notifyDone(connection ? 'The connection is changed.' : 'The connection is made. Test it next.');
      onClose();
    },
  });
  const confirmation = useConfirmation({
    email: user.email,
    why: 'To be sure that it is you: a connection decides who gets in.',
    error: save.error,
  });
  const wrong = save.error instanceof ProblemError ? (save.error.problem.fields ?? {}) : {};
  const isExplained = confirmation.isExplained || Object.keys(wrong).length > 0;
  const isDescribed =
    kind === 'saml'
      ? connection !== undefined || saml.metadataXml.trim() || saml.metadataUrl.trim()
      : issuer.trim() && clientId.trim() && (clientSecret || connection?.hasSecret);
  const isReady = confirmation.isReady && name.trim() && isDescribed;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) save.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          data-autofocus
          label="Name"
          description="On the button of the sign-in page: Continue with NAME."
          placeholder="Contoso"
          autoComplete="off"
          maxLength={60}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrong.name}
        />
        {!connection && (
          <Radio.Group
            label="How the provider is connected"
            value={kind}
            onChange={(value) => {
              setKind(value as 'oidc' | 'saml');
              // SAML has no word for it, so nobody would get in.
              setTrustsEmails(value === 'saml');
            }}
          >
            <Group mt="xs">
              <Radio value="oidc" label="OpenID Connect" />
              <Radio value="saml" label="SAML" />
            </Group>
          </Radio.Group>
        )}
        {kind === 'saml' ? (
          <SamlFields
            value={saml}
            onChange={setSaml}
            wrong={wrong}
            isNew={!connection}
            hasKey={connection?.hasSecret ?? true}
          />
        ) : (
          <>
            <TextInput
              label="Issuer"
              description={connection ? 'Another issuer is another connection.' : 'As the provider writes it.'}
              placeholder="https://login.example.com"
              autoComplete="off"
              spellCheck={false}
              disabled={connection !== undefined}
              value={issuer}
              onChange={(event) => setIssuer(event.currentTarget.value)}
              error={wrong.issuer}
            />
            <TextInput
              label="Client ID"
              autoComplete="off"
              spellCheck={false}
              value={clientId}
              onChange={(event) => setClientId(event.currentTarget.value)}
              error={wrong.clientId}
            />
            <PasswordInput
              label="Client secret"
              description={connection?.hasSecret ? 'Leave it empty to keep the one that is there.' : undefined}
              autoComplete="off"
              value={clientSecret}
              onChange={(event) => setClientSecret(event.currentTarget.value)}
              error={wrong.clientSecret}
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the client secret' }}
            />
          </>
        )}
        <Checkbox
          label="Make users of people who are new"
          description="With addresses of the proven domains. Otherwise only those who are users already get in."
          checked={createsUsers}
          onChange={(event) => setCreatesUsers(event.currentTarget.checked)}
        />
        <Checkbox
          label="Take addresses as verified"
          description="For providers that do not say whether an address is verified, as Entra ID and every SAML provider."
          checked={trustsEmails}
          onChange={(event) => setTrustsEmails(event.currentTarget.checked)}
        />
        <Radio.Group
          label="Signing in there counts as a second factor"
          value={secondFactor}
          onChange={(value) => setSecondFactor(value as FactorTrust)}
        >
          <Stack gap="xs" mt="xs">
            {(['own', 'evidence', 'provider'] as const).map((one) => (
              <Radio key={one} value={one} label={trusts[one].label} description={trusts[one].what} />
            ))}
          </Stack>
        </Radio.Group>
        <Group grow align="flex-start">
          <TextInput
            label={kind === 'saml' ? 'Attribute for roles' : 'Claim for roles'}
            description="Optional, for example groups."
            autoComplete="off"
            value={roleClaim}
            onChange={(event) => setRoleClaim(event.currentTarget.value)}
            error={wrong.roleClaim}
          />
          <TextInput
            label="Values that make an admin"
            description="With commas between. Never an owner."
            autoComplete="off"
            value={adminValues}
            onChange={(event) => setAdminValues(event.currentTarget.value)}
            error={wrong.adminValues}
          />
        </Group>
        {confirmation.fields}
        {!isExplained && <ProblemNotice error={save.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending} disabled={!isReady}>
            {connection ? 'Save' : 'Make the connection'}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
