import { Button, Group, Stack, Text } from '@mantine/core';
import { ButtonLink, LoadingState, ProblemError, ProblemNotice } from '../../design/index.ts';
import { OperationProgress } from '../operations/OperationProgress.tsx';
import { useOperation } from '../operations/useOperation.ts';

/** The end of a dialog that began an operation: its steps, and where to look next. */
export function StartedOperation({ operationId, onClose }: { operationId: string; onClose: () => void }) {
  const { data: operation, error } = useOperation(operationId);
  return (
    <Stack gap="md">
      {operation ? (
        <OperationProgress operation={operation} />
      ) : error ? (
        <ProblemNotice error={error} />
      ) : (
        <LoadingState />
      )}
      {operation?.state === 'running' && (
        <Text size="sm" c="dimmed">
          You can close this; it goes on, and you find it again under Operations.
        </Text>
      )}
      <Group justify="flex-end" gap="xs">
        <ButtonLink variant="default" to="/operations/$operationId" params={{ operationId }}>
          Show operation
        </ButtonLink>
        {operation?.state === 'succeeded' ? (
          <ButtonLink to="/tenants/$tenantId" params={{ tenantId: operation.tenantId }} variant="default">
            Show tenant
          </ButtonLink>
        ) : null}
        <Button variant="default" onClick={onClose}>
          Close
        </Button>
      </Group>
    </Stack>
  );
}

/** Refusals of a form about a new tenant that are about one field, also where the server tells them by code only. */
export function fieldProblems(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ProblemError)) return {};
  const { code, fields, title, detail, hint } = error.problem;
  if (Object.keys(fields).length > 0) return fields;
  const text = [`${title}${detail ? `: ${detail}` : ''}.`, hint].filter(Boolean).join(' ');
  if (code.startsWith('FH_TENANT_NAME_')) return { name: text };
  if (code === 'FH_TENANT_TITLE_INVALID') return { title: text };
  if (code === 'FH_TENANT_EMAIL_INVALID') return { adminEmail: text };
  return {};
}
