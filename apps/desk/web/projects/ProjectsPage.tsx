/** All projects of the tenant; administrators create them here. */
import { Button, Modal, SegmentedControl, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import {
  apiFetch,
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  formatCount,
  IconPlus,
  LoadingState,
  PageTitle,
  ProblemNotice,
  RelativeTime,
  StateBadge,
  TextLink,
  toProblem,
} from '../../../../web/design/index.ts';
import type { CreateProject, Project } from '../../api.ts';
import { keys, meQuery, projectsQuery } from '../data/queries.ts';

type Shown = 'false' | 'true';

export function ProjectsPage() {
  const me = useQuery(meQuery).data;
  const [shown, setShown] = useState<Shown>('false');
  const [creating, setCreating] = useState(false);
  const navigate = useNavigate();
  const { data, error, refetch } = useQuery(projectsQuery(shown));
  const admin = me?.can.manageProjects ?? false;
  return (
    <>
      <PageTitle
        title="Projects"
        action={
          admin && (
            <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
              New project
            </Button>
          )
        }
      />
      <Stack gap="sm">
        <SegmentedControl
          size="xs"
          w="fit-content"
          aria-label="Which projects"
          value={shown}
          onChange={(value) => setShown(value as Shown)}
          data={[
            { value: 'false', label: 'In use' },
            { value: 'true', label: 'Archived' },
          ]}
        />
        {error && !data && <ErrorState error={error} onRetry={() => void refetch()} />}
        {!data && !error && <LoadingState />}
        {data?.projects.length === 0 && <NoProjects shown={shown} admin={admin} />}
        {data && data.projects.length > 0 && (
          <DataTable
            label="Projects"
            columns={admin ? [...columns, settingsColumn] : columns}
            rows={data.projects}
            rowKey={(project) => project.id}
            onOpen={(project) => void navigate({ to: '/p/$key/board', params: { key: project.key } })}
            initialSort={{ key: 'name' }}
          />
        )}
      </Stack>
      <CreateProjectDialog opened={creating} onClose={() => setCreating(false)} />
    </>
  );
}

const columns: readonly Column<Project>[] = [
  {
    key: 'name',
    header: 'Project',
    cell: (project) => (
      <TextLink to="/p/$key/board" params={{ key: project.key }}>
        {project.name}
      </TextLink>
    ),
    sortBy: (project) => project.name,
  },
  {
    key: 'key',
    header: 'Key',
    cell: (project) => project.key,
    sortBy: (project) => project.key,
    width: '6rem',
    narrow: 'corner',
  },
  {
    key: 'open',
    header: 'Open',
    cell: (project) => formatCount(project.openCount),
    sortBy: (project) => project.openCount,
    align: 'right',
    width: '6rem',
  },
  {
    key: 'items',
    header: 'Items',
    cell: (project) => formatCount(project.itemCount),
    sortBy: (project) => project.itemCount,
    align: 'right',
    width: '6rem',
  },
  {
    key: 'changed',
    header: 'Created',
    cell: (project) =>
      project.archived ? <StateBadge tone="quiet">Archived</StateBadge> : <RelativeTime value={project.createdAt} />,
    sortBy: (project) => project.createdAt,
    width: '9rem',
  },
];

const settingsColumn: Column<Project> = {
  key: 'settings',
  header: '',
  cell: (project) => (
    <TextLink to="/p/$key/settings" params={{ key: project.key }} size="sm" aria-label={`Settings of ${project.name}`}>
      Settings
    </TextLink>
  ),
  width: '6rem',
  align: 'right',
};

function NoProjects({ shown, admin }: { shown: Shown; admin: boolean }) {
  if (shown === 'true')
    return <EmptyState title="No project is archived">A project is archived in its settings.</EmptyState>;
  return (
    <EmptyState title="There is no project yet">
      {admin
        ? 'A project has a short key, for example SUP; its items are then called SUP-1, SUP-2, and so on.'
        : 'An administrator creates the first one; then it appears here.'}
    </EmptyState>
  );
}

function CreateProjectDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const [typedKey, setTypedKey] = useState<string>();
  const [description, setDescription] = useState('');
  const key = typedKey ?? suggestKey(name);
  const create = useMutation({
    mutationFn: (body: CreateProject) => apiFetch<Project>('/api/projects', { method: 'POST', body }),
    onSuccess: (project) => {
      void queryClient.invalidateQueries({ queryKey: keys.projects });
      void queryClient.invalidateQueries({ queryKey: keys.summary });
      setName('');
      setTypedKey(undefined);
      setDescription('');
      onClose();
      void navigate({ to: '/p/$key/board', params: { key: project.key } });
    },
  });
  const keyIsRight = /^[A-Z]{2,6}$/.test(key);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '' || !keyIsRight) return;
    create.mutate({
      key,
      name: name.trim(),
      ...(description.trim() === '' ? {} : { description: description.trim() }),
    });
  };
  const problem = create.error ? toProblem(create.error) : undefined;
  const fields = problem?.fields ?? {};
  return (
    <Modal opened={opened} onClose={onClose} title={<Text fw={600}>New project</Text>}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput
            data-autofocus
            label="Name"
            required
            maxLength={120}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={fields.name}
          />
          <TextInput
            label="Key"
            description="2 to 6 letters. Items are numbered with it, and it cannot be changed later."
            required
            value={key}
            maxLength={6}
            onChange={(event) => setTypedKey(event.currentTarget.value.toUpperCase().replace(/[^A-Z]/g, ''))}
            error={
              fields.key ?? (problem?.code === 'DESK_PROJECT_KEY_TAKEN' ? (problem.detail ?? problem.title) : undefined)
            }
          />
          <Textarea
            label="Description"
            autosize
            minRows={2}
            maxRows={8}
            maxLength={10_000}
            value={description}
            onChange={(event) => setDescription(event.currentTarget.value)}
            error={fields.description}
          />
          {problem?.code !== 'DESK_PROJECT_KEY_TAKEN' && <ProblemNotice error={create.error} />}
          <Button type="submit" loading={create.isPending} disabled={name.trim() === '' || !keyIsRight}>
            Create project
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}

/** `Customer support` → `CS`, `Support` → `SUP`. */
function suggestKey(name: string): string {
  const words = name
    .toUpperCase()
    .split(/[^A-Z]+/)
    .filter((word) => word !== '');
  if (words.length > 1)
    return words
      .map((word) => word[0])
      .join('')
      .slice(0, 6);
  return (words[0] ?? '').slice(0, 3);
}
