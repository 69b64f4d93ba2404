/** Creates an item from anywhere (`c`). What was typed stays when the dialog is closed by accident. */
import { Button, Group, Modal, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type Dispatch, type FormEvent, type SetStateAction, useState, useSyncExternalStore } from 'react';
import { apiFetch, EmptyState, notifyDone, ProblemNotice, TextLink } from '../../../../web/design/index.ts';
import type { CreateItem, Item, ItemState, ItemType, Priority } from '../../api.ts';
import { insertCreated } from '../data/cache.ts';
import { keys, meQuery, projectsQuery } from '../data/queries.ts';
import { priorityWords, stateWords, typeWords } from '../data/words.ts';
import { ChoicePicker } from './ChoicePicker.tsx';
import {
  nobody,
  parseTag,
  priorityChoices,
  stateChoices,
  typeChoices,
  useAssigneeChoices,
  useTagChoices,
} from './choices.tsx';
import { Initials, PriorityMark, StateMark, TagMark, TypeMark } from './marks.tsx';

interface Opening {
  readonly project?: string | undefined;
  readonly state?: ItemState;
}

// One dialog for the whole page; whoever wants to create asks for it.
let opening: Opening | undefined;
const listeners = new Set<() => void>();
function setOpening(next: Opening | undefined): void {
  opening = next;
  for (const listener of listeners) listener();
}

const handle = { open: (from: Opening = {}) => setOpening(from) };
export function useCreateItem() {
  return handle;
}

/** Creates, and puts the new item where it belongs in everything that is shown. */
export function useCreateItemMutation() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateItem) => apiFetch<Item>('/api/items', { method: 'POST', body }),
    onSuccess: (item) => {
      insertCreated(queryClient, item);
      void queryClient.invalidateQueries({ queryKey: keys.lists });
      void queryClient.invalidateQueries({ queryKey: keys.summary });
      void queryClient.invalidateQueries({ queryKey: keys.projects });
      void queryClient.invalidateQueries({ queryKey: keys.tags });
    },
  });
}

type Draft = typeof blank;

const blank = {
  title: '',
  description: '',
  type: 'task' as ItemType,
  state: 'todo' as ItemState,
  priority: 'normal' as Priority,
  assigneeId: null as string | null,
  tags: [] as string[],
  dueOn: '',
};

export function CreateItemDialog() {
  const from = useSyncExternalStore(subscribe, () => opening);
  const close = () => setOpening(undefined);
  const [draft, setDraft] = useState(blank);
  return (
    <Modal opened={from !== undefined} onClose={close} title={<Text fw={600}>New item</Text>} size="lg">
      <CreateForm from={from} onClose={close} draft={draft} setDraft={setDraft} />
    </Modal>
  );
}

function CreateForm(props: {
  from: Opening | undefined;
  onClose: () => void;
  draft: Draft;
  setDraft: Dispatch<SetStateAction<Draft>>;
}) {
  const { from, onClose, draft, setDraft } = props;
  const me = useQuery(meQuery).data;
  const projects = useQuery(projectsQuery()).data?.projects;
  const [chosenProject, setProject] = useState<string>();
  const [chosenState, setState] = useState<ItemState>();
  const create = useCreateItemMutation();
  const assignees = useAssigneeChoices();
  const tagChoices = useTagChoices();
  const project = chosenProject ?? from?.project ?? projects?.[0]?.key;
  const state = chosenState ?? from?.state ?? blank.state;
  const set = (change: Partial<Draft>) => setDraft((now) => ({ ...now, ...change }));
  const canCreate = draft.title.trim() !== '' && project !== undefined && !create.isPending;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!canCreate || !project) return;
    create.mutate(
      { ...draft, title: draft.title.trim(), state, project, dueOn: draft.dueOn || null },
      {
        onSuccess: (item) => {
          notifyDone(`${item.key} created`);
          setDraft(blank);
          setState(undefined);
          setProject(undefined);
          onClose();
        },
      },
    );
  };

  if (projects?.length === 0) {
    return (
      <EmptyState plain title="There is no project yet">
        {me?.can.manageProjects ? (
          <TextLink to="/projects">Create a project first</TextLink>
        ) : (
          'Ask an administrator to create a project. Items belong to projects.'
        )}
      </EmptyState>
    );
  }
  const assignee = assignees.find((choice) => choice.value === (draft.assigneeId ?? nobody));
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput
          data-autofocus
          label="Title"
          value={draft.title}
          maxLength={300}
          onChange={(event) => set({ title: event.currentTarget.value })}
          required
        />
        <Textarea
          label="Description"
          description="Markdown"
          value={draft.description}
          onChange={(event) => set({ description: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
          }}
          autosize
          minRows={4}
          maxRows={14}
        />
        <Group gap="xs">
          <ChoicePicker
            look="button"
            hiddenLabel
            label="State"
            choices={stateChoices}
            selected={[state]}
            onChange={([value]) => setState(value as ItemState)}
          >
            <StateMark state={state} /> {stateWords[state]}
          </ChoicePicker>
          <ChoicePicker
            look="button"
            hiddenLabel
            label="Type"
            choices={typeChoices}
            selected={[draft.type]}
            onChange={([value]) => set({ type: value as ItemType })}
          >
            <TypeMark type={draft.type} /> {typeWords[draft.type]}
          </ChoicePicker>
          <ChoicePicker
            look="button"
            hiddenLabel
            label="Priority"
            choices={priorityChoices}
            selected={[draft.priority]}
            onChange={([value]) => set({ priority: value as Priority })}
          >
            <PriorityMark priority={draft.priority} /> {priorityWords[draft.priority]}
          </ChoicePicker>
          <ChoicePicker
            look="button"
            hiddenLabel
            label="Assignee"
            choices={assignees}
            selected={[draft.assigneeId ?? nobody]}
            onChange={([value]) => set({ assigneeId: value === nobody || value === undefined ? null : value })}
            searchable
          >
            {assignee?.mark ?? <Initials user={null} size={18} />}{' '}
            {assignee?.value === nobody ? 'Assignee' : assignee?.label}
          </ChoicePicker>
          <ChoicePicker
            look="button"
            hiddenLabel
            label="Tags"
            choices={tagChoices}
            selected={draft.tags}
            onChange={(tags) => set({ tags })}
            create={parseTag}
            multiple
            searchable
          >
            {draft.tags.length === 0
              ? 'Tags'
              : draft.tags.map((name) => <TagMark key={name} tag={{ name, color: 0 }} />)}
          </ChoicePicker>
        </Group>
        <Group gap="sm" grow preventGrowOverflow={false}>
          <Select
            label="Project"
            size="sm"
            searchable={(projects?.length ?? 0) > 6}
            data={(projects ?? []).map((each) => ({ value: each.key, label: `${each.key} · ${each.name}` }))}
            value={project ?? null}
            onChange={(value) => setProject(value ?? undefined)}
          />
          <TextInput
            label="Due day"
            size="sm"
            type="date"
            value={draft.dueOn}
            onChange={(event) => set({ dueOn: event.currentTarget.value })}
          />
        </Group>
        <ProblemNotice error={create.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Close
          </Button>
          <Button type="submit" disabled={!canCreate} loading={create.isPending}>
            Create item
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
