/** The lists that fields and filters choose from, with their marks. */
import { useQuery } from '@tanstack/react-query';
import { meQuery, tagsQuery, usersQuery } from '../data/queries.ts';
import { itemStates, itemTypes, priorities, priorityWords, stateWords, typeWords } from '../data/words.ts';
import type { Choice } from './ChoicePicker.tsx';
import { Initials, PriorityMark, StateMark, TagMark, TypeMark } from './marks.tsx';

export const stateChoices: readonly Choice[] = itemStates.map((state) => ({
  value: state,
  label: stateWords[state],
  mark: <StateMark state={state} />,
}));

export const typeChoices: readonly Choice[] = itemTypes.map((type) => ({
  value: type,
  label: typeWords[type],
  mark: <TypeMark type={type} />,
}));

export const priorityChoices: readonly Choice[] = priorities.map((priority) => ({
  value: priority,
  label: priorityWords[priority],
  mark: <PriorityMark priority={priority} />,
}));

/** Value of "nobody" in assignee lists; the filter of the API has the same word. */
export const nobody = 'none';

const nobodyChoice: Choice = { value: nobody, label: 'Nobody', mark: <Initials user={null} size={18} /> };

/** Active users, me first. */
export function useAssigneeChoices(): readonly Choice[] {
  const { data: me } = useQuery(meQuery);
  const { data } = useQuery(usersQuery);
  const users = (data?.users ?? []).filter((user) => user.active);
  const mine = users.filter((user) => user.id === me?.user.id);
  const others = users.filter((user) => user.id !== me?.user.id);
  return [
    nobodyChoice,
    ...[...mine, ...others].map((user) => ({
      value: user.id,
      label: user.id === me?.user.id ? `${user.name} (me)` : user.name,
      mark: <Initials user={user} size={18} />,
    })),
  ];
}

export function useTagChoices(project?: string): readonly Choice[] {
  const { data } = useQuery(tagsQuery(project));
  return (data?.tags ?? []).map((tag) => ({
    value: tag.name,
    label: tag.name,
    mark: <TagMark tag={{ ...tag, name: '' }} />,
    note: String(tag.count),
  }));
}

/** A tag as the server will write it; undefined when it cannot be one. */
export function parseTag(text: string): string | undefined {
  const tag = text.trim().toLowerCase().replace(/\s+/g, ' ');
  return tag === '' || tag.length > 40 || tag.includes(',') ? undefined : tag;
}
