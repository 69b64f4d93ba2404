import {
  Button,
  Checkbox,
  Fieldset,
  Group,
  Modal,
  NumberInput,
  Radio,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
} from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { ProblemNotice } from '../../design/index.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { isOver, type ReleasableApp, type Release, type ReleaseOrder, startRelease } from './api.ts';

interface StartProps {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly apps: readonly ReleasableApp[];
  readonly releases: readonly Release[];
}

/** Which version, what tenants read of it, and how careful it goes. */
export function StartRelease(props: StartProps) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} size="lg" title={<Text fw={600}>Start a release</Text>}>
      {props.opened && <Form {...props} />}
    </Modal>
  );
}

/** Whether a release of the app is under way already. */
const openOf = (releases: readonly Release[], app: string) =>
  releases.find((release) => release.app === app && !isOver(release));

/** The newest that is ready and that not everybody runs. */
function versionToOffer({ versions, rings }: ReleasableApp): string | undefined {
  const ready = versions.filter(({ state }) => state === 'ready');
  return (ready.find(({ version }) => rings.some((row) => row.version !== version)) ?? ready[0])?.version;
}

function Form({ apps, releases, onClose }: StartProps) {
  const first = apps.find(({ app }) => !openOf(releases, app)) ?? apps[0]!;
  const [name, setName] = useState(first.app);
  const app = apps.find((each) => each.app === name) ?? first;
  const [version, setVersion] = useState(versionToOffer(first) ?? null);
  const chosen = app.versions.find((each) => each.version === version);
  const [notes, setNotes] = useState<string>();
  const [soakMinutes, setSoakMinutes] = useState<number | string>(15);
  const [maxFailed, setMaxFailed] = useState<number | string>(10);
  const [isManual, setManual] = useState(false);
  const [isRehearsed, setRehearsed] = useState(true);
  const [mayContract, setContract] = useState(false);
  const [onHalt, setOnHalt] = useState<'return' | 'keep'>('return');
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const { withStepUp } = useStepUp();
  const start = useMutation({
    mutationFn: (order: ReleaseOrder) => withStepUp(() => startRelease(order)),
    onSuccess: async ({ release: { releaseId } }) => {
      await queryClient.invalidateQueries({ queryKey: ['releases'] });
      await navigate({ to: '/releases/$releaseId', params: { releaseId } });
    },
  });
  const open = openOf(releases, app.app);
  const isReady = chosen?.state === 'ready' && !open && soakMinutes !== '' && maxFailed !== '';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isReady || start.isPending) return;
    start.mutate({
      app: app.app,
      version: chosen.version,
      notes: notes ?? chosen.notes,
      soakSeconds: Math.round(Number(soakMinutes) * 60),
      maxFailedPercent: Number(maxFailed),
      isManual,
      isRehearsed,
      mayContract,
      onHalt,
    });
  };
  const choose = (value: string) => {
    setName(value);
    setVersion(versionToOffer(apps.find((each) => each.app === value)!) ?? null);
    setNotes(undefined);
    start.reset();
  };
  const willGet = app.rings
    .filter((row) => row.version !== version)
    .reduce((sum, row) => sum + row.tenants - row.held, 0);
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <SimpleGrid cols={{ base: 1, xs: 2 }}>
          <Select
            label="App"
            data={apps.map((each) => each.app)}
            value={app.app}
            allowDeselect={false}
            onChange={(value) => value && choose(value)}
            error={open && `${open.app} ${open.version} is under way: one release of an app at a time.`}
          />
          <Select
            label="Version"
            data={app.versions.map((each) => ({
              value: each.version,
              label: each.state === 'ready' ? each.version : `${each.version} (${each.state})`,
              disabled: each.state !== 'ready',
            }))}
            value={version}
            allowDeselect={false}
            onChange={(value) => {
              setVersion(value);
              setNotes(undefined);
            }}
            error={app.versions.every(({ state }) => state !== 'ready') && 'No version is ready.'}
          />
        </SimpleGrid>
        <Textarea
          label="What changed"
          description="Tenants read it on their account pages, as plain text."
          value={notes ?? chosen?.notes ?? ''}
          onChange={(event) => setNotes(event.currentTarget.value)}
          autosize
          minRows={3}
          maxRows={10}
          maxLength={10_000}
        />
        <Fieldset legend="How careful">
          <Stack gap="md">
            <SimpleGrid cols={{ base: 1, xs: 2 }}>
              <NumberInput
                label="Watch each ring for"
                suffix=" minutes"
                min={0}
                max={43_200}
                decimalScale={1}
                value={soakMinutes}
                onChange={setSoakMinutes}
                disabled={isManual}
              />
              <NumberInput
                label="Halt when more have failed than"
                suffix=" % of a ring"
                min={0}
                max={100}
                allowDecimal={false}
                value={maxFailed}
                onChange={setMaxFailed}
              />
            </SimpleGrid>
            <Radio.Group label="When it is halted" value={onHalt} onChange={(value) => setOnHalt(value as 'return')}>
              <Stack gap={6} mt={4}>
                <Radio value="return" label="Take it back from everybody by itself" />
                <Radio value="keep" label="Keep it where it is, until a person decides" />
              </Stack>
            </Radio.Group>
            <Checkbox
              label="Each ring waits until somebody promotes it"
              checked={isManual}
              onChange={(event) => setManual(event.currentTarget.checked)}
            />
            <Checkbox
              label="Try it on a copy of a tenant first"
              checked={isRehearsed}
              onChange={(event) => setRehearsed(event.currentTarget.checked)}
            />
            <Checkbox
              label="It removes what the version before does not need any more"
              description="Otherwise such a version does not pass the rehearsal."
              checked={mayContract}
              onChange={(event) => setContract(event.currentTarget.checked)}
            />
          </Stack>
        </Fieldset>
        <ProblemNotice error={start.error} />
        <Group justify="space-between" gap="xs">
          <Text size="sm" c="dimmed">
            {willGet === 0
              ? 'No tenant runs another version.'
              : `${willGet} ${willGet === 1 ? 'tenant' : 'tenants'} will get it.`}
          </Text>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={start.isPending} disabled={!isReady}>
              Start release
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}
