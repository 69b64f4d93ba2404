/** The states every page has besides its content: loading, empty, refused, failed. */
import { Button, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { type Problem, toProblem } from './api.ts';
import { CopyableId } from './CopyableId.tsx';
import { Shape, type Tone } from './StateBadge.tsx';
import classes from './states.module.css';

/** Nothing here yet: what would be here, and how to get it. */
export function EmptyState(props: { title: string; children?: ReactNode; action?: ReactNode; plain?: boolean }) {
  return (
    <div className={classes.state} data-plain={props.plain || undefined}>
      <div>
        <Title order={2}>{props.title}</Title>
        {props.children && (
          <Text component="div" c="dimmed" mt={4} maw="40rem">
            {props.children}
          </Text>
        )}
      </div>
      {props.action}
    </div>
  );
}

/** Grey bars in the shape of what will come. Announced once to screen readers. */
export function LoadingState({ rows = 6, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <Stack gap="xs" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars are all alike
        <Skeleton key={index} height={28} radius="sm" width={index === 0 ? '38%' : `${100 - ((index * 7) % 18)}%`} />
      ))}
    </Stack>
  );
}

/** What happened, why, what to do; the request id for the operator. A 403 is told as a matter of rights, not as a failure. */
export function ErrorState(props: {
  error: unknown;
  onRetry?: () => void;
  action?: ReactNode;
  plain?: boolean;
  /** 1 where no other heading names the page. Default: 2. */
  level?: 1 | 2;
}) {
  const { onRetry, action } = props;
  const problem = toProblem(props.error);
  // Asking again helps when the server was not reached or not ready, not when it has answered.
  const mayHelp = problem.status === 0 || problem.status === 429 || problem.status >= 500;
  return (
    <div className={`${classes.state} ${classes.problem}`} data-plain={props.plain || undefined} role="alert">
      <div>
        <Title order={props.level ?? 2}>{problem.title}</Title>
        {problem.detail && <Text mt={4}>{problem.detail}</Text>}
        <Text c="dimmed" mt={4} maw="40rem">
          {hintOf(problem)}
        </Text>
      </div>
      {((onRetry && mayHelp) || action) && (
        <Group gap="xs">
          {onRetry && mayHelp && (
            <Button variant="default" onClick={onRetry}>
              Try again
            </Button>
          )}
          {action}
        </Group>
      )}
      <Trace problem={problem} />
    </div>
  );
}

/** The same, small: inside a form or a dialog. Renders nothing without an error. */
export function ProblemNotice({ error }: { error: unknown }) {
  if (!error) return null;
  const problem = toProblem(error);
  return (
    <Notice tone="urgent" title={problem.title} role="alert">
      {problem.detail && <Text size="sm">{problem.detail}</Text>}
      <Text size="sm">{hintOf(problem)}</Text>
      {problem.status >= 500 && <Trace problem={problem} />}
    </Notice>
  );
}

/** A message that stays: tone is told by shape, colour and words. */
export function Notice(props: {
  tone: Tone;
  title?: string;
  role?: 'alert' | 'status' | 'note';
  children?: ReactNode;
}) {
  return (
    <div className={classes.notice} data-tone={toneOf(props.tone)} role={props.role ?? 'note'}>
      <Shape tone={props.tone} size={16} />
      {props.title && <Text fw={600}>{props.title}</Text>}
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

function Trace({ problem }: { problem: Problem }) {
  return (
    <div className={classes.trace}>
      <span>
        Code <CopyableId value={problem.code} what="code" />
      </span>
      {problem.requestId && (
        <span>
          Request <CopyableId value={problem.requestId} what="request id" />
        </span>
      )}
    </div>
  );
}

function hintOf(problem: Problem): string {
  if (problem.hint) return problem.hint;
  if (problem.retryAfterSeconds !== undefined) return `Try again in ${problem.retryAfterSeconds} seconds.`;
  if (problem.status === 403) return 'Ask an administrator for the right to do this.';
  if (problem.status === 404) return 'It may have been removed, or the address is not complete. Check the link.';
  if (problem.status >= 500) return 'Try again. If it happens again, tell your operator the request id.';
  return 'Check what you entered and try again.';
}

function toneOf(tone: Tone): 'ok' | 'late' | 'urgent' | 'quiet' {
  if (tone === 'working') return 'quiet';
  return tone;
}
