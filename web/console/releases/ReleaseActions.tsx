import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ConfirmByName, formatPlural, notifyProblem, ProblemNotice } from '../../design/index.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { changeRelease, type Release, rings, type Verb } from './api.ts';
import { ringLabels, sumsOfAll } from './words.ts';

type Asked = Exclude<Verb, 'pause'>;

/** What can be done with the release now. To stop it is one press; everything else is said first. */
export function ReleaseActions({ release, isNewest }: { release: Release; isNewest: boolean }) {
  const [asked, setAsked] = useState<Asked>();
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  const change = useMutation({
    mutationFn: (verb: Verb) => withStepUp(() => changeRelease(release.releaseId, verb)),
    onSuccess: async () => {
      setAsked(undefined);
      await queryClient.invalidateQueries({ queryKey: ['release'] });
      await queryClient.invalidateQueries({ queryKey: ['releases'] });
    },
    onError: (error, verb) => verb === 'pause' && notifyProblem(error),
  });
  if (!isNewest) return null;
  const { state } = release;
  const open = (verb: Asked) => {
    change.reset();
    setAsked(verb);
  };
  const close = () => setAsked(undefined);
  const mayReturn = state !== 'returning' && state !== 'returned';
  const dialog = { release, close, change };
  return (
    <Group gap="xs">
      {mayReturn && (
        <Button variant="default" onClick={() => open('return')}>
          Take back
        </Button>
      )}
      {state === 'running' && (
        <Button
          variant="default"
          onClick={() => change.mutate('pause')}
          loading={change.isPending && change.variables === 'pause'}
        >
          Pause
        </Button>
      )}
      {(state === 'paused' || state === 'halted') && <Button onClick={() => open('resume')}>Resume</Button>}
      {state === 'running' && !release.isPromoted && (
        <Button onClick={() => open('promote')}>{nextOf(release) ? 'Promote' : 'Finish now'}</Button>
      )}
      {asked === 'promote' && <PromoteDialog {...dialog} />}
      {asked === 'resume' && <ResumeDialog {...dialog} />}
      {asked === 'return' && <ReturnDialog {...dialog} />}
    </Group>
  );
}

const nextOf = ({ ring }: Release) => rings[rings.indexOf(ring) + 1];

interface DialogProps {
  readonly release: Release;
  readonly close: () => void;
  readonly change: {
    readonly mutate: (verb: Verb) => void;
    readonly isPending: boolean;
    readonly error: unknown;
  };
}

function PromoteDialog(props: DialogProps) {
  const { release } = props;
  const next = nextOf(release);
  const here = ringLabels[release.ring];
  return (
    <PlainDialog
      {...props}
      verb="promote"
      title={next ? `Promote to ${next}` : 'Finish the release'}
      label={next ? `Promote to ${next}` : 'Finish now'}
    >
      <Text size="sm">
        {release.soaksSince ? `${here} is not watched any longer.` : `${here} is not watched once all of it has it.`}{' '}
        {next
          ? `The tenants of ${next} get ${release.app} ${release.version} next, unless too many of ${release.ring} have failed.`
          : 'From then on a way back takes the version only, and no content.'}
      </Text>
    </PlainDialog>
  );
}

function ResumeDialog(props: DialogProps) {
  const { release } = props;
  return (
    <PlainDialog {...props} verb="resume" title={`Resume ${release.app} ${release.version}`} label="Resume release">
      {release.state === 'halted' && (
        <Text size="sm">
          A gate halted it: {release.reason}. It goes on where it stopped, and is halted again if more tenants fail.
        </Text>
      )}
      <Text size="sm">
        {formatPlural(sumsOfAll(release).waiting, 'tenant')} of {release.ring} wait for it, then the rings that follow.
      </Text>
    </PlainDialog>
  );
}

function ReturnDialog({ release, close, change }: DialogProps) {
  const sums = sumsOfAll(release);
  const reached = sums.done + sums.underWay;
  const title = `${release.app} ${release.version}`;
  return (
    <ConfirmByName
      opened
      onClose={close}
      title={`Take ${title} back`}
      name={release.app}
      confirmLabel="Take it back"
      pending={change.isPending}
      error={change.error}
      onConfirm={() => change.mutate('return')}
    >
      <Stack gap="xs">
        <Text size="sm">
          {reached === 0
            ? 'No tenant has it. The release ends, and nobody gets it.'
            : `${formatPlural(reached, 'tenant')} go back to the version they ran before, each closed for some seconds. Nobody else gets ${title}.`}
        </Text>
        {reached > 0 && (
          <Text size="sm">
            {release.state === 'done'
              ? 'Their content stays as it is: the older version meets the schema that this one has left.'
              : 'Where nobody has written since, the content of before comes back too. Where somebody has, it stays as it is, and no work is lost.'}
          </Text>
        )}
        <Text size="sm">To bring the version again, start another release.</Text>
      </Stack>
    </ConfirmByName>
  );
}

function PlainDialog(props: DialogProps & { verb: Verb; title: string; label: string; children: ReactNode }) {
  const { change, verb, close } = props;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!change.isPending) change.mutate(verb);
  };
  return (
    <Modal opened onClose={close} title={<Text fw={600}>{props.title}</Text>}>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          {props.children}
          <ProblemNotice error={change.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" loading={change.isPending} data-autofocus>
              {props.label}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
