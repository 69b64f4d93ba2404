/** One dialog per action on a tenant: what will happen to whom, the way back, and what must be typed. */
import { Button, Checkbox, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { apiFetch, ConfirmByName, formatPlural, Notice, ProblemError, ProblemNotice } from '../../design/index.ts';
import { editionLabels, type Operation, type OperationKind, type Tenant } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { whyNotAName } from './nameRules.ts';
import { MoveText } from './TenantMove.tsx';
import { TenantNameField } from './TenantNameField.tsx';

interface DialogProps {
  readonly tenant: Tenant;
  readonly onClose: () => void;
  readonly onStarted: (operationId: string) => void;
}

function useStart({ tenant, onClose, onStarted }: DialogProps, kind: OperationKind) {
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  return useMutation({
    mutationFn: (body: Record<string, string | boolean>) =>
      withStepUp(() =>
        apiFetch<{ operation: Operation }>(`/api/tenants/${encodeURIComponent(tenant.tenantId)}/${kind}`, {
          method: 'POST',
          body,
        }),
      ),
    onSuccess: async ({ operation }) => {
      onStarted(operation.operationId);
      onClose();
      await queryClient.invalidateQueries({ queryKey: ['tenant'] });
      await queryClient.invalidateQueries({ queryKey: ['operations'] });
    },
  });
}

export function SuspendDialog(props: DialogProps) {
  const [reason, setReason] = useState('');
  const start = useStart(props, 'suspend');
  return (
    <ConfirmByName
      opened
      tone="late"
      onClose={props.onClose}
      title={`Suspend ${props.tenant.name}`}
      name={props.tenant.name}
      confirmLabel="Suspend tenant"
      pending={start.isPending}
      error={start.error}
      onConfirm={() =>
        start.mutate({ confirm: props.tenant.name, ...(reason.trim() ? { reason: reason.trim() } : {}) })
      }
      fields={
        <TextInput
          label="Reason"
          description="For the audit log; users do not see it. Optional."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
          autoComplete="off"
        />
      }
    >
      <Text size="sm">
        All users of {props.tenant.title} are cut off at once and see a page that says the account is suspended. Its
        data and files are kept. To open it again, choose Resume.
      </Text>
    </ConfirmByName>
  );
}

export function DeleteDialog(props: DialogProps) {
  const [now, setNow] = useState(false);
  const start = useStart(props, 'delete');
  // 0: the key goes at once, and nobody is asked.
  const graceDays = props.tenant.deletionGraceDays ?? 0;
  const isFinal = now || graceDays === 0;
  return (
    <ConfirmByName
      opened
      onClose={props.onClose}
      title={`Delete ${props.tenant.name}`}
      name={props.tenant.name}
      confirmLabel={isFinal ? 'Delete tenant for ever' : 'Delete tenant'}
      pending={start.isPending}
      error={start.error}
      onConfirm={() => start.mutate({ confirm: props.tenant.name, ...(now && { now }) })}
      fields={
        graceDays > 0 && (
          <Checkbox
            label="Destroy the key at once; no way back"
            description={`Otherwise it is destroyed ${formatPlural(graceDays, 'day')} from now.`}
            checked={now}
            onChange={(event) => setNow(event.currentTarget.checked)}
          />
        )
      }
    >
      <Text size="sm">
        All users of {props.tenant.title} are cut off at once. Its database, files and exports are destroyed.{' '}
        {isFinal ? (
          <>
            Its key is destroyed as well, and with it its backups: <b>there is no way back.</b> Export it first if
            anybody may want the data.
          </>
        ) : (
          <>
            Its key is kept for {formatPlural(graceDays, 'day')}: until then{' '}
            <code>./freehold restore {props.tenant.name} --before delete</code> brings it back. Afterwards nobody can.
          </>
        )}{' '}
        You get a signed certificate of what was destroyed; the name is held back for a while.
      </Text>
    </ConfirmByName>
  );
}

export function ResumeDialog(props: DialogProps) {
  const start = useStart(props, 'resume');
  return (
    <PlainDialog {...props} title={`Resume ${props.tenant.name}`} label="Resume tenant" start={start} body={{}}>
      <Text>The users of {props.tenant.title} can sign in and work again, within a second.</Text>
    </PlainDialog>
  );
}

export function ExportDialog(props: DialogProps) {
  const start = useStart(props, 'export');
  return (
    <PlainDialog {...props} title={`Export ${props.tenant.name}`} label="Export tenant" start={start} body={{}}>
      <Text>
        Writes one archive of its database and files, which plain PostgreSQL tools can open and{' '}
        <code>./freehold tenant import</code> loads elsewhere. Users go on working; the archive shows one moment.
      </Text>
      <Notice tone="late">
        The archive holds everything the customer owns and is not encrypted. Keep it as you would keep their database.
      </Notice>
    </PlainDialog>
  );
}

export function RenameDialog(props: DialogProps) {
  const [newName, setNewName] = useState('');
  const start = useStart(props, 'rename');
  return (
    <PlainDialog
      {...props}
      title={`Rename ${props.tenant.name}`}
      label="Rename tenant"
      start={start}
      body={{ newName }}
      ready={isName(newName) && newName !== props.tenant.name}
    >
      <TenantNameField label="New name" value={newName} onChange={setNewName} error={nameProblem(start.error)} />
      <Notice tone="late">
        The address changes at once: links and bookmarks to {props.tenant.name} stop working, and everybody signs in
        again. You can rename it back; nobody else gets the old name meanwhile.
      </Notice>
    </PlainDialog>
  );
}

export function CopyDialog(props: DialogProps) {
  const [newName, setNewName] = useState('');
  const start = useStart(props, 'clone');
  return (
    <PlainDialog
      {...props}
      title={`Clone ${props.tenant.name}`}
      label="Clone tenant"
      start={start}
      body={{ newName }}
      ready={isName(newName)}
    >
      <TenantNameField
        label="Name of the copy"
        value={newName}
        onChange={setNewName}
        error={nameProblem(start.error)}
      />
      <Text>
        The copy gets the same users, data and files, and a key of its own; sessions and secrets are left out. Users of{' '}
        {props.tenant.title} wait while the database is copied, a few seconds per gigabyte.
      </Text>
    </PlainDialog>
  );
}

export function MoveDialog(props: DialogProps) {
  const { tenant } = props;
  const edition = tenant.edition === 'standard' ? 'private-cloud' : 'standard';
  const start = useStart(props, 'move');
  return (
    <PlainDialog
      {...props}
      title={`Move ${tenant.name} to ${editionLabels[edition]}`}
      label="Move tenant"
      start={start}
      body={{ edition }}
    >
      <MoveText tenant={tenant} />
    </PlainDialog>
  );
}

function PlainDialog(props: {
  title: string;
  label: string;
  start: ReturnType<typeof useStart>;
  body: Record<string, string>;
  ready?: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  const { start, ready = true } = props;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !start.isPending) start.mutate(props.body);
  };
  return (
    <Modal opened onClose={props.onClose} title={<Text fw={600}>{props.title}</Text>}>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          {props.children}
          {!nameProblem(start.error) && <ProblemNotice error={start.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={props.onClose}>
              Cancel
            </Button>
            <Button
              type="submit"
              loading={start.isPending}
              disabled={!ready}
              data-autofocus={props.ready === undefined || undefined}
            >
              {props.label}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function isName(name: string): boolean {
  return name !== '' && whyNotAName(name) === undefined;
}

function nameProblem(error: unknown): string | undefined {
  if (!(error instanceof ProblemError) || !error.problem.code.startsWith('FH_TENANT_NAME_')) return undefined;
  const { title, detail, hint } = error.problem;
  return [`${title}${detail ? `: ${detail}` : ''}.`, hint].filter(Boolean).join(' ');
}
