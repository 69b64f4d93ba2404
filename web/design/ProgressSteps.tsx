import { Progress, Text, VisuallyHidden } from '@mantine/core';
import { useEffect, useState } from 'react';
import { formatDuration } from './format.ts';
import classes from './ProgressSteps.module.css';
import { Shape, type Tone } from './StateBadge.tsx';

export interface Step {
  readonly name: string;
  /** Words for the step; default: the name with spaces. */
  readonly label?: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'undone';
  readonly startedAt?: string | Date | undefined | null;
  readonly finishedAt?: string | Date | undefined | null;
}

export interface ProgressStepsProps {
  readonly steps: readonly Step[];
  /** What the running step is doing, for example `12 of 40 files`. */
  readonly detail?: string | undefined;
  /** How long the whole usually takes, for example `usually 2 seconds`. */
  readonly estimate?: string;
}

const toneOf: Record<Step['state'], Tone> = {
  waiting: 'quiet',
  running: 'working',
  done: 'ok',
  failed: 'urgent',
  undone: 'quiet',
};
const wordOf: Record<Step['state'], string> = {
  waiting: 'waiting',
  running: 'running',
  done: 'done',
  failed: 'failed',
  undone: 'undone',
};

/** The steps of long work: what is done, what it is doing, how long each took. Changes are announced politely. */
export function ProgressSteps({ steps, detail, estimate }: ProgressStepsProps) {
  const done = steps.filter((step) => step.state === 'done').length;
  const running = steps.find((step) => step.state === 'running');
  return (
    <div>
      <div className={classes.summary}>
        <Text size="sm" c="dimmed" mb={4} role="status">
          {done} of {steps.length} steps done{running ? `: ${labelOf(running)}` : ''}
          {running && estimate ? ` (${estimate})` : ''}
        </Text>
        <Progress
          value={steps.length === 0 ? 0 : (done / steps.length) * 100}
          size="sm"
          color={steps.some((step) => step.state === 'failed') ? 'red' : 'green'}
          aria-label="Progress"
        />
      </div>
      <ol className={classes.list}>
        {steps.map((step) => (
          <li key={step.name} className={classes.step} data-state={step.state}>
            <span className={classes.shape}>
              <Shape tone={toneOf[step.state]} size={14} />
            </span>
            <span>
              {labelOf(step)}
              <VisuallyHidden>, {wordOf[step.state]}</VisuallyHidden>
              {step.state === 'running' && detail && <span className={classes.doing}>{detail}</span>}
            </span>
            <span className={classes.detail}>
              <StepTime step={step} />
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function StepTime({ step }: { step: Step }) {
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    if (step.state !== 'running') return;
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [step.state]);
  if (step.state === 'failed' || step.state === 'undone') return wordOf[step.state];
  if (!step.startedAt) return null;
  const startedMs = new Date(step.startedAt).getTime();
  if (step.finishedAt) return formatDuration(new Date(step.finishedAt).getTime() - startedMs);
  return step.state === 'running' ? formatDuration(Math.max(0, Math.floor((nowMs - startedMs) / 1000) * 1000)) : null;
}

function labelOf(step: Step): string {
  if (step.label) return step.label;
  const words = step.name
    .replace(/[-_.]/g, ' ')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
