/** State, priority, type, assignee, tags, due day; and where the item came from. */
import { Anchor, TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { CopyableId, RelativeTime, TextLink } from '../../../../web/design/index.ts';
import type { Item, ItemState, ItemType, Priority } from '../../api.ts';
import { isOverdue, priorityWords, stateWords, typeWords } from '../data/words.ts';
import { ChoicePicker } from '../items/ChoicePicker.tsx';
import {
  nobody,
  parseTag,
  priorityChoices,
  stateChoices,
  typeChoices,
  useAssigneeChoices,
  useTagChoices,
} from '../items/choices.tsx';
import { formatDay, Initials, PriorityMark, StateMark, TagMark, TypeMark } from '../items/marks.tsx';
import classes from './ItemFields.module.css';
import type { SaveItem } from './ItemView.tsx';

export function ItemFields(props: { item: Item; save: SaveItem; readOnly: boolean; layout: 'side' | 'grid' }) {
  const { item, save, readOnly } = props;
  const assignees = useAssigneeChoices();
  const tags = useTagChoices(item.projectKey);
  return (
    <dl className={classes.fields} data-layout={props.layout}>
      <Field label="State">
        <ChoicePicker
          label="State"
          choices={stateChoices}
          selected={[item.state]}
          disabled={readOnly}
          onChange={([value]) => value !== item.state && save({ state: value as ItemState })}
        >
          <StateMark state={item.state} /> {stateWords[item.state]}
        </ChoicePicker>
      </Field>
      <Field label="Priority">
        <ChoicePicker
          label="Priority"
          choices={priorityChoices}
          selected={[item.priority]}
          disabled={readOnly}
          onChange={([value]) => value !== item.priority && save({ priority: value as Priority })}
        >
          <PriorityMark priority={item.priority} /> {priorityWords[item.priority]}
        </ChoicePicker>
      </Field>
      <Field label="Assignee">
        <ChoicePicker
          label="Assignee"
          choices={assignees}
          selected={[item.assignee?.id ?? nobody]}
          disabled={readOnly}
          searchable
          onChange={([value]) => save({ assigneeId: value === nobody || value === undefined ? null : value })}
        >
          <Initials user={item.assignee} size={20} />
          <span className={classes.text}>{item.assignee?.name ?? 'Nobody'}</span>
        </ChoicePicker>
      </Field>
      <Field label="Type">
        <ChoicePicker
          label="Type"
          choices={typeChoices}
          selected={[item.type]}
          disabled={readOnly}
          onChange={([value]) => value !== item.type && save({ type: value as ItemType })}
        >
          <TypeMark type={item.type} /> {typeWords[item.type]}
        </ChoicePicker>
      </Field>
      <Field label="Due day">
        <DueField item={item} save={save} readOnly={readOnly} />
      </Field>
      <Field label="Tags" wide>
        <ChoicePicker
          label="Tags"
          choices={tags}
          selected={item.tags.map((tag) => tag.name)}
          disabled={readOnly}
          create={parseTag}
          multiple
          searchable
          onChange={(values) => save({ tags: values })}
        >
          {item.tags.length === 0 ? (
            <span className={classes.none}>No tags</span>
          ) : (
            <span className={classes.tags}>
              {item.tags.map((tag) => (
                <TagMark key={tag.name} tag={tag} />
              ))}
            </span>
          )}
        </ChoicePicker>
      </Field>
      {item.requester && (
        <Field label="Requester" wide>
          <span className={classes.plain}>
            {item.requester.name}
            {item.requester.name && item.requester.email && ', '}
            {item.requester.email && <Anchor href={`mailto:${item.requester.email}`}>{item.requester.email}</Anchor>}
          </span>
        </Field>
      )}
      {item.reference && (
        <Field label="Old number">
          <span className={classes.plain}>
            <CopyableId value={item.reference} what="old number" />
          </span>
        </Field>
      )}
      <Field label="Created" wide>
        <span className={classes.plain}>
          <RelativeTime value={item.createdAt} /> by {item.createdBy.name}
          {item.importId && (
            <>
              {' '}
              in{' '}
              <TextLink to="/import/$importId" params={{ importId: item.importId }}>
                an import
              </TextLink>
            </>
          )}
        </span>
      </Field>
      <Field label="Changed" wide>
        <span className={classes.plain}>
          <RelativeTime value={item.updatedAt} /> by {item.updatedBy.name}
        </span>
      </Field>
    </dl>
  );
}

function Field({ label, wide, children }: { label: string; wide?: boolean; children: ReactNode }) {
  return (
    <div className={classes.field} data-wide={wide || undefined}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The browser's own day picker: it knows the person's language and works with keys. */
function DueField({ item, save, readOnly }: { item: Item; save: SaveItem; readOnly: boolean }) {
  if (readOnly) return <span className={classes.plain}>{item.dueOn ? formatDay(item.dueOn) : 'None'}</span>;
  return (
    <TextInput
      // A new day from elsewhere replaces what stands in the box.
      key={item.dueOn ?? ''}
      type="date"
      aria-label="Due day"
      size="xs"
      defaultValue={item.dueOn ?? ''}
      classNames={{ root: classes.due, input: classes.dueInput, description: classes.overdue }}
      data-empty={item.dueOn === null || undefined}
      data-overdue={isOverdue(item) || undefined}
      description={isOverdue(item) ? 'Overdue' : undefined}
      inputWrapperOrder={['input', 'description']}
      // Typing a year passes through other valid dates, so it is saved when the person is done with the box.
      onBlur={(event) => {
        const dueOn = event.currentTarget.value || null;
        if (dueOn !== item.dueOn) save({ dueOn });
      }}
      onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
    />
  );
}
