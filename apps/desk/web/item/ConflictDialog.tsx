/** Two people changed the same field. Both values are shown, and the person chooses. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { RelativeTime } from '../../../../web/design/index.ts';
import type { Requester, UserRef } from '../../api.ts';
import { type Conflict, fieldValue, type ItemField } from '../data/conflict.ts';
import { priorityWords, stateWords, typeWords } from '../data/words.ts';
import { useAssigneeChoices } from '../items/choices.tsx';
import { Markdown } from '../items/Markdown.tsx';
import classes from './ConflictDialog.module.css';

export const fieldWords: Readonly<Record<ItemField, string>> = {
  title: 'title',
  type: 'type',
  description: 'description',
  state: 'state',
  priority: 'priority',
  assigneeId: 'assignee',
  tags: 'tags',
  dueOn: 'due day',
  requester: 'requester',
};

export function ConflictDialog(props: {
  conflict: Conflict | undefined;
  onClose: () => void;
  onKeepMine: (conflict: Conflict) => void;
  onTakeTheirs: () => void;
}) {
  const { conflict, onClose } = props;
  return (
    <Modal
      opened={conflict !== undefined}
      onClose={onClose}
      size="xl"
      title={<Text fw={600}>{conflict ? `${conflict.theirs.key} was changed by two people` : ''}</Text>}
    >
      {conflict && (
        <Stack gap="md">
          <Text>
            {conflict.theirs.updatedBy.name} changed the{' '}
            {conflict.fields.map((field) => fieldWords[field]).join(' and the ')}{' '}
            <RelativeTime value={conflict.theirs.updatedAt} />, after you began. Yours is not saved yet.
          </Text>
          {conflict.fields.map((field) => (
            <div key={field} className={classes.both}>
              <section className={classes.side} aria-label="Yours">
                <Text size="sm" c="dimmed" fw={600}>
                  Yours
                </Text>
                <Value field={field} value={conflict.mine[field]} />
              </section>
              <section className={classes.side} aria-label={`Now, by ${conflict.theirs.updatedBy.name}`}>
                <Text size="sm" c="dimmed" fw={600}>
                  Now, by {conflict.theirs.updatedBy.name}
                </Text>
                <Value field={field} value={fieldValue(conflict.theirs, field)} />
              </section>
            </div>
          ))}
          <Text size="sm" c="dimmed">
            If you keep yours, theirs stays readable in the history.
          </Text>
          <Group justify="flex-end" gap="xs">
            {conflict.fields.includes('description') && (
              <Button variant="subtle" color="gray" onClick={onClose}>
                Go on editing
              </Button>
            )}
            <Button variant="default" onClick={props.onTakeTheirs}>
              Take theirs
            </Button>
            <Button onClick={() => props.onKeepMine(conflict)}>Keep mine</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function Value({ field, value }: { field: ItemField; value: unknown }) {
  const assignees = useAssigneeChoices();
  if (field === 'description') return value ? <Markdown text={String(value)} /> : <Text c="dimmed">Empty</Text>;
  if (value === null || value === undefined || value === '') return <Text c="dimmed">None</Text>;
  if (field === 'assigneeId') {
    return <Text>{assignees.find((choice) => choice.value === value)?.label ?? String(value)}</Text>;
  }
  return <Text>{wordsOf(value)}</Text>;
}

/** Any value of a field or of the history, as text. */
export function wordsOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  if (typeof value === 'object') {
    const { name, email } = value as Partial<UserRef & Requester>;
    return name ?? email ?? 'none';
  }
  const text = String(value);
  return (
    (stateWords as Record<string, string>)[text] ??
    (priorityWords as Record<string, string>)[text] ??
    (typeWords as Record<string, string>)[text] ??
    text
  );
}
