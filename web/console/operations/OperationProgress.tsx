import { Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  ButtonLink,
  CopyableId,
  CopyableLine,
  formatBytes,
  IconExternalLink,
  Notice,
  notifyProblem,
  ProblemNotice,
  ProgressSteps,
  RelativeTime,
} from '../../design/index.ts';
import { type Operation, operationQuery } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { describeStep, kindWords } from '../words.ts';
import { Exchanged, TakePlace } from './ExchangeNames.tsx';

/** Steps, what went wrong, and what the operation made. */
export function OperationProgress({ operation }: { operation: Operation }) {
  const { kind, state, progress } = operation;
  return (
    <Stack gap="md">
      <ProgressSteps
        steps={operation.steps.map((step) => ({ ...step, label: describeStep(kind, step.name) }))}
        detail={
          progress
            ? `${progress.text}${typeof progress.fraction === 'number' ? ` (${Math.floor(progress.fraction * 100)} %)` : ''}`
            : undefined
        }
        estimate={kindWords[kind].usually}
      />
      {operation.undoing && state === 'running' && (
        <Notice tone="late">A step failed for good. What was done is being taken back.</Notice>
      )}
      {operation.error && <Failure operation={operation} />}
      {state === 'succeeded' && <Outcome operation={operation} />}
    </Stack>
  );
}

function Failure({ operation }: { operation: Operation }) {
  const queryClient = useQueryClient();
  const act = useMutation({
    mutationFn: (what: 'retry' | 'cancel') =>
      apiFetch(`/api/operations/${encodeURIComponent(operation.operationId)}/${what}`, { method: 'POST', body: {} }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: operationQuery(operation.operationId).queryKey }),
  });
  const isOpen = operation.state === 'failed';
  return (
    <Notice tone={isOpen ? 'urgent' : 'quiet'} title={operation.error?.text ?? ''} role={isOpen ? 'alert' : 'note'}>
      <Text size="sm">
        Code <CopyableId value={operation.error?.code ?? ''} what="code" />
      </Text>
      {isOpen ? (
        <>
          <Text size="sm">
            {operation.undoing
              ? 'What was done could not be taken back yet. That is tried again by itself, with growing pauses, until the cause is mended'
              : 'What was done so far is kept. Mend the cause'}{' '}
            (Health and <code>./freehold doctor</code> help)
            {operation.undoing ? '.' : ', then try again from the step that failed.'}
          </Text>
          <Group gap="xs" mt="xs">
            {!operation.undoing && (
              <Button size="compact-md" loading={act.isPending} onClick={() => act.mutate('retry')}>
                Try again
              </Button>
            )}
            {operation.kind !== 'delete' && operation.kind !== 'destroy' && (
              <Button size="compact-md" variant="default" loading={act.isPending} onClick={() => act.mutate('cancel')}>
                {operation.undoing ? 'Take it back now' : 'Take it back'}
              </Button>
            )}
          </Group>
          <ProblemNotice error={act.error} />
        </>
      ) : (
        operation.state === 'undone' && (
          <Text size="sm">Everything it began was taken back. Nothing is left of it.</Text>
        )
      )}
    </Notice>
  );
}

function Outcome({ operation }: { operation: Operation }) {
  const { kind, result } = operation;
  return (
    <>
      {operation.hasSecretResult && <OneTimeLink operation={operation} />}
      {kind === 'export' && <ExportDownload operation={operation} />}
      {typeof result.certificateId === 'string' && (
        <div>
          <ButtonLink
            variant="default"
            to="/certificates/$certificateId"
            params={{ certificateId: result.certificateId }}
          >
            View the deletion certificate
          </ButtonLink>
        </div>
      )}
      {typeof result.url === 'string' && (
        <div>
          <Button
            component="a"
            href={result.url}
            target="_blank"
            rel="noreferrer"
            variant="default"
            rightSection={<IconExternalLink size={14} />}
          >
            Open {new URL(result.url).host}
          </Button>
        </div>
      )}
      {typeof result.keptTenantId === 'string' && <Exchanged operation={operation} />}
      {kind === 'restore' && result.keptTenantId === undefined && <TakePlace operation={operation} />}
    </>
  );
}

/** The invitation of the first administrator. The server gives it out once and forgets it, so it is asked for by a press. */
function OneTimeLink({ operation }: { operation: Operation }) {
  const take = useMutation({
    mutationFn: () =>
      apiFetch<{ invitationUrl?: string }>(
        `/api/operations/${encodeURIComponent(operation.operationId)}/secret-result`,
        {
          method: 'POST',
          body: {},
        },
      ),
  });
  if (take.data?.invitationUrl)
    return (
      <Stack gap="xs">
        <Text>
          Send this link to the first administrator. It works once
          {typeof operation.result.invitationExpiresAt === 'string' && (
            <>
              {' '}
              and ends <RelativeTime value={operation.result.invitationExpiresAt} />
            </>
          )}
          .
        </Text>
        <CopyableLine value={take.data.invitationUrl} what="invitation link" />
        <Notice tone="late">It is shown only now. Copy it before you leave this page.</Notice>
      </Stack>
    );
  return (
    <Stack gap="xs">
      <Text>The invitation of the first administrator is ready. Its link can be shown once.</Text>
      <div>
        <Button onClick={() => take.mutate()} loading={take.isPending}>
          Show the invitation link
        </Button>
      </div>
      <ProblemNotice error={take.error} />
    </Stack>
  );
}

function ExportDownload({ operation }: { operation: Operation }) {
  const { sizeBytes, sha256, expiresAt } = operation.result;
  const { ensureStepUp } = useStepUp();
  const download = useMutation({
    mutationFn: ensureStepUp,
    // An attachment: the page stays.
    onSuccess: (isConfirmed) => {
      if (isConfirmed) window.location.assign(`/api/exports/${encodeURIComponent(operation.operationId)}/download`);
    },
    onError: notifyProblem,
  });
  return (
    <Stack gap="xs">
      <Group gap="sm">
        <Button onClick={() => download.mutate()}>
          Download the archive{typeof sizeBytes === 'number' ? ` (${formatBytes(sizeBytes)})` : ''}
        </Button>
        {typeof expiresAt === 'string' && (
          <Text size="sm" c="dimmed">
            Kept here until it ends <RelativeTime value={expiresAt} />
          </Text>
        )}
      </Group>
      {typeof sha256 === 'string' && (
        <Text size="sm" component="div">
          SHA-256 <CopyableId value={sha256} what="checksum" />
        </Text>
      )}
    </Stack>
  );
}
