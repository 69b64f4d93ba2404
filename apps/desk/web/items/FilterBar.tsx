/** Filters of board and list. They live in the address, so that a view can be shared, and go along from one to the other. */
import { Button, TextInput } from '@mantine/core';
import { useDebouncedCallback, useMediaQuery } from '@mantine/hooks';
import { type ReactNode, type RefObject, useEffect, useRef, useState } from 'react';
import { IconSearch, IconX } from '../../../../web/design/index.ts';
import { countFilters, type ItemSearch, joinChoices, splitChoices } from '../data/search.ts';
import { type Choice, ChoicePicker } from './ChoicePicker.tsx';
import { priorityChoices, stateChoices, typeChoices, useAssigneeChoices, useTagChoices } from './choices.tsx';
import classes from './FilterBar.module.css';
import { IconFilter } from './icons.ts';
import { Initials } from './marks.tsx';

export interface FilterBarProps {
  readonly search: ItemSearch;
  readonly onChange: (change: Partial<ItemSearch>) => void;
  /** Key of the project whose tags are offered. */
  readonly project?: string;
  /** The board has its states as columns. */
  readonly withState?: boolean;
  readonly searchInput?: RefObject<HTMLInputElement | null>;
  readonly children?: ReactNode;
}

const dueChoices: readonly Choice[] = [
  { value: 'overdue', label: 'Overdue' },
  { value: 'set', label: 'Has a due day' },
  { value: 'none', label: 'No due day' },
];
const openChoice: Choice = { value: 'open', label: 'Any open state' };
const meChoice: Choice = { value: 'me', label: 'Me', mark: <Initials user={{ id: '', name: 'Me' }} size={18} /> };
const typingPauseMs = 250;

export function FilterBar({ search, onChange, project, withState = true, searchInput, children }: FilterBarProps) {
  const assignees = useAssigneeChoices();
  const tags = useTagChoices(project);
  const narrow = useMediaQuery('(max-width: 48em)');
  const [unfolded, setUnfolded] = useState(false);
  const ignored = withState ? ['q', 'project'] : ['q', 'project', 'state'];
  const active = countFilters(search, ignored);
  const pick = (name: keyof ItemSearch) => (values: string[]) => onChange({ [name]: joinChoices(values) });
  return (
    <search className={classes.bar} aria-label="Filter items">
      <TextSearch value={search.q ?? ''} onChange={(q) => onChange({ q: q || undefined })} input={searchInput} />
      {narrow && (
        <Button
          variant="default"
          size="xs"
          leftSection={<IconFilter size={15} />}
          aria-expanded={unfolded}
          onClick={() => setUnfolded((now) => !now)}
        >
          {active > 0 ? `Filters (${active})` : 'Filters'}
        </Button>
      )}
      {(!narrow || unfolded) && (
        <>
          {withState && (
            <Filter
              label="State"
              choices={[openChoice, ...stateChoices]}
              value={search.state}
              onChange={pick('state')}
            />
          )}
          <Filter label="Type" choices={typeChoices} value={search.type} onChange={pick('type')} />
          <Filter label="Priority" choices={priorityChoices} value={search.priority} onChange={pick('priority')} />
          <Filter
            label="Assignee"
            choices={[meChoice, ...assignees]}
            value={search.assignee}
            onChange={pick('assignee')}
            searchable
          />
          <Filter label="Tag" choices={tags} value={search.tag} onChange={pick('tag')} searchable />
          <Filter label="Due" choices={dueChoices} value={search.due} onChange={pick('due')} single />
          {active > 0 && (
            <Button
              variant="subtle"
              color="gray"
              size="compact-sm"
              leftSection={<IconX size={14} />}
              onClick={() => onChange(nothing)}
            >
              Clear filters
            </Button>
          )}
        </>
      )}
      {children && <div className={classes.end}>{children}</div>}
    </search>
  );
}

const nothing: Partial<ItemSearch> = {
  state: undefined,
  type: undefined,
  priority: undefined,
  assignee: undefined,
  tag: undefined,
  due: undefined,
  createdFrom: undefined,
  createdTo: undefined,
  updatedFrom: undefined,
  updatedTo: undefined,
  import: undefined,
};

function Filter(props: {
  label: string;
  choices: readonly Choice[];
  value: string | undefined;
  onChange: (values: string[]) => void;
  searchable?: boolean;
  single?: boolean;
}) {
  const selected = splitChoices(props.value);
  const first = props.choices.find((choice) => choice.value === selected[0])?.label ?? selected[0];
  const toggle = (values: string[]) => props.onChange(values[0] === selected[0] ? [] : values);
  return (
    <ChoicePicker
      label={props.label}
      choices={props.choices}
      selected={selected}
      multiple={!props.single}
      searchable={props.searchable ?? false}
      onChange={props.single ? toggle : props.onChange}
      look="button"
      active={selected.length > 0}
    >
      <span>
        {props.label}
        {selected.length > 0 && `: ${first}`}
        {selected.length > 1 && ` +${selected.length - 1}`}
      </span>
    </ChoicePicker>
  );
}

/** The address follows a moment after the last key, so that typing stays quick and the history short. */
function TextSearch(props: {
  value: string;
  onChange: (value: string) => void;
  input: RefObject<HTMLInputElement | null> | undefined;
}) {
  const [text, setText] = useState(props.value);
  // The address comes back later than the keys: only a value from elsewhere replaces what is being typed.
  const reported = useRef(props.value);
  useEffect(() => {
    if (props.value === reported.current) return;
    reported.current = props.value;
    setText(props.value);
  }, [props.value]);
  const report = useDebouncedCallback((value: string) => {
    reported.current = value;
    props.onChange(value);
  }, typingPauseMs);
  return (
    <TextInput
      ref={props.input}
      className={classes.text}
      size="xs"
      type="search"
      aria-label="Search in titles, descriptions, tags and requesters"
      placeholder="Search items"
      aria-keyshortcuts="/"
      maxLength={200}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        report(event.currentTarget.value.trim());
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          if (text === '') event.currentTarget.blur();
          setText('');
          report('');
        }
        if (event.key === 'Enter') report.flush();
      }}
      leftSection={<IconSearch size={15} aria-hidden />}
      autoComplete="off"
    />
  );
}
