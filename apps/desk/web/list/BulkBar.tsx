/** Changes all selected items at once. */
import { Button, CloseButton, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { apiFetch, formatPlural, ProblemNotice } from '../../../../web/design/index.ts';
import type { BulkResult, BulkUpdate, ItemState, Priority } from '../../api.ts';
import { keys } from '../data/queries.ts';
import { ChoicePicker } from '../items/ChoicePicker.tsx';
import {
  nobody,
  parseTag,
  priorityChoices,
  stateChoices,
  useAssigneeChoices,
  useTagChoices,
} from '../items/choices.tsx';
import { announce } from '../shell/announce.tsx';
import classes from './BulkBar.module.css';
import type { Selection } from './useSelection.ts';

const mostPerRequest = 500;

interface Counts {
  changed: number;
  unchanged: number;
  missing: number;
}

export function BulkBar({ selection, project }: { selection: Selection; project?: string }) {
  const queryClient = useQueryClient();
  const assignees = useAssigneeChoices();
  const tags = useTagChoices(project);
  const [sent, setSent] = useState(0);
  const count = selection.ids.size;
  const bulk = useMutation({
    mutationFn: async (set: BulkUpdate['set']) => {
      const ids = [...selection.ids];
      const result: Counts = { changed: 0, unchanged: 0, missing: 0 };
      for (let at = 0; at < ids.length; at += mostPerRequest) {
        const body: BulkUpdate = { itemIds: ids.slice(at, at + mostPerRequest), set };
        const part = await apiFetch<BulkResult>('/api/items/bulk', { method: 'POST', body });
        result.changed += part.changed.length;
        result.unchanged += part.unchanged;
        result.missing += part.missing.length;
        setSent(at + body.itemIds.length);
      }
      return result;
    },
    onMutate: () => setSent(0),
    onSuccess: (result) => announce(resultWords(result)),
    onSettled: () => {
      for (const queryKey of [keys.lists, keys.boards, keys.summary, keys.projects, keys.tags, ['item']]) {
        void queryClient.invalidateQueries({ queryKey });
      }
    },
  });
  if (count === 0) return null;
  return (
    <section className={classes.bar} aria-label="Change the selected items">
      <div className={classes.line}>
        <Text fw={600} size="sm" role="status">
          {formatPlural(count, 'item')} selected
        </Text>
        <Pick label="State" choices={stateChoices} onPick={(value) => bulk.mutate({ state: value as ItemState })} />
        <Pick
          label="Priority"
          choices={priorityChoices}
          onPick={(value) => bulk.mutate({ priority: value as Priority })}
        />
        <Pick
          label="Assignee"
          choices={assignees}
          searchable
          onPick={(value) => bulk.mutate({ assigneeId: value === nobody ? null : value })}
        />
        <ChoicePicker
          label="Add tags"
          look="button"
          choices={tags}
          selected={[]}
          multiple
          searchable
          create={parseTag}
          onChange={(addTags) => bulk.mutate({ addTags })}
        >
          Add tags
        </ChoicePicker>
        <ChoicePicker
          label="Remove tags"
          look="button"
          choices={tags}
          selected={[]}
          multiple
          searchable
          onChange={(removeTags) => bulk.mutate({ removeTags })}
        >
          Remove tags
        </ChoicePicker>
        {bulk.isPending && (
          <Text size="sm" c="dimmed">
            Saving{count > mostPerRequest && ` ${sent} of ${count}`}
          </Text>
        )}
        {bulk.data && !bulk.isPending && (
          <Text size="sm" c="var(--fh-ok)">
            {resultWords(bulk.data)}
          </Text>
        )}
        <CloseButton aria-label="Select nothing" onClick={selection.clear} ml="auto" />
      </div>
      {bulk.isError && (
        <div className={classes.problem}>
          <ProblemNotice error={bulk.error} />
          <Button size="compact-sm" variant="subtle" color="gray" onClick={bulk.reset}>
            Close
          </Button>
        </div>
      )}
    </section>
  );
}

function resultWords({ changed, unchanged, missing }: Counts): string {
  const words = [
    `${formatPlural(changed, 'item')} changed`,
    unchanged > 0 && `${unchanged} were like that already`,
    missing > 0 && `${missing} are not there any more`,
  ];
  return words.filter(Boolean).join(', ');
}

function Pick(props: {
  label: string;
  choices: Parameters<typeof ChoicePicker>[0]['choices'];
  searchable?: boolean;
  onPick: (value: string) => void;
}) {
  return (
    <ChoicePicker
      label={props.label}
      look="button"
      choices={props.choices}
      selected={[]}
      searchable={props.searchable ?? false}
      onChange={([value]) => value !== undefined && props.onPick(value)}
    >
      {props.label}
    </ChoicePicker>
  );
}
