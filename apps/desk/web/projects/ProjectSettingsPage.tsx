/** Name, description, and whether the project is in use. */
import { Button, Group, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { modals } from '@mantine/modals';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import {
  apiFetch,
  EmptyState,
  ErrorState,
  formatPlural,
  LoadingState,
  Notice,
  notifyDone,
  PageTitle,
  Panel,
  ProblemError,
  ProblemNotice,
  RelativeTime,
} from '../../../../web/design/index.ts';
import type { Project, UpdateProject } from '../../api.ts';
import { keys, meQuery, projectQuery } from '../data/queries.ts';

export function ProjectSettingsPage() {
  const { key = '' } = useParams({ strict: false }) as { key?: string };
  const projectKey = key.toUpperCase();
  const me = useQuery(meQuery).data;
  const { data: project, error, refetch } = useQuery(projectQuery(projectKey));
  const update = useUpdateProject(project);
  const back = { to: `/p/${projectKey}/board`, label: `Board of ${projectKey}` };
  return (
    <>
      <PageTitle title={`Settings of ${project?.name ?? projectKey}`} back={back} />
      {error && !project ? (
        <ErrorState error={error} onRetry={() => void refetch()} />
      ) : !project || !me ? (
        <LoadingState />
      ) : !me.can.manageProjects ? (
        <EmptyState title="Only administrators change projects">
          Ask an owner or administrator of {me.tenant.title} when the name or the state of this project should change.
        </EmptyState>
      ) : (
        <Settings key={project.version} project={project} update={update} />
      )}
    </>
  );
}

function useUpdateProject(project: Project | undefined) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: UpdateProject) => apiFetch<Project>(`/api/projects/${project?.key}`, { method: 'PATCH', body }),
    onSuccess: (_saved, body) => {
      if (body.archived === undefined) notifyDone('Project saved');
      else notifyDone(body.archived ? `${project?.name} archived` : `${project?.name} is in use again`);
    },
    onSettled: () => {
      for (const queryKey of [keys.projects, keys.boards, keys.lists, keys.summary]) {
        void queryClient.invalidateQueries({ queryKey });
      }
    },
  });
}

function Settings({ project, update }: { project: Project; update: ReturnType<typeof useUpdateProject> }) {
  const [name, setName] = useState(project.name);
  const [description, setDescription] = useState(project.description);
  const changed = name.trim() !== project.name || description !== project.description;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    update.mutate({ version: project.version, name: name.trim(), description });
  };
  const stale = update.error instanceof ProblemError && update.error.problem.code === 'DESK_PROJECT_CHANGED';
  const archive = () =>
    modals.openConfirmModal({
      title: <Text fw={600}>Archive {project.name}</Text>,
      children: `Its ${formatPlural(project.itemCount, 'item')} can still be read and found in the project, but nobody can change them, and they leave Home and the list of all items. You can bring the project back at any time.`,
      labels: { confirm: 'Archive project', cancel: 'Cancel' },
      onConfirm: () => update.mutate({ version: project.version, archived: true }),
    });
  return (
    <Stack gap="md" maw="46rem">
      {stale ? (
        <Notice tone="late" title="Somebody else changed this project at the same moment" role="alert">
          The form shows what is saved now. Enter your change again.
        </Notice>
      ) : (
        <ProblemNotice error={update.error} />
      )}
      <Panel title="Name and description">
        <form onSubmit={submit}>
          <Stack gap="sm">
            <TextInput
              label="Name"
              required
              maxLength={120}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <TextInput
              label="Key"
              description="Part of every item’s number, so it stays as it is."
              value={project.key}
              readOnly
            />
            <Textarea
              label="Description"
              autosize
              minRows={3}
              maxRows={14}
              maxLength={10_000}
              value={description}
              onChange={(event) => setDescription(event.currentTarget.value)}
            />
            <Group justify="space-between">
              <Text size="sm" c="dimmed">
                Created <RelativeTime value={project.createdAt} /> by {project.createdBy.name}
              </Text>
              <Button type="submit" disabled={!changed || name.trim() === ''} loading={update.isPending}>
                Save
              </Button>
            </Group>
          </Stack>
        </form>
      </Panel>
      <Panel
        title={project.archived ? 'This project is archived' : 'Archive'}
        description={
          project.archived
            ? 'Its items can be read, not changed.'
            : 'When the work is over: items stay readable, and nothing can be changed any more.'
        }
        action={
          project.archived ? (
            <Button variant="default" onClick={() => update.mutate({ version: project.version, archived: false })}>
              Bring back into use
            </Button>
          ) : (
            <Button variant="default" onClick={archive}>
              Archive project
            </Button>
          )
        }
      >
        {null}
      </Panel>
    </Stack>
  );
}
