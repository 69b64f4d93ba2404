/** One or several of a list, with a search box when it is long: state, type, priority, assignee, tags; for fields and for filters. */
import { Checkbox, Combobox, Text, UnstyledButton, useCombobox, VisuallyHidden } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import classes from './ChoicePicker.module.css';

export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly mark?: ReactNode;
  /** Beside the label, for example a count. */
  readonly note?: string;
}

export interface ChoicePickerProps {
  /** Names the field for screen readers and the search box. */
  readonly label: string;
  readonly choices: readonly Choice[];
  readonly selected: readonly string[];
  /** Several may be chosen; the list stays open, and `onChange` comes once when it closes. */
  readonly multiple?: boolean;
  readonly searchable?: boolean;
  /** A typed text that is no choice may be added; returns the value it stands for, or undefined. */
  readonly create?: (text: string) => string | undefined;
  readonly onChange: (values: string[]) => void;
  readonly disabled?: boolean;
  /** `field`: quiet until hovered; `button`: with a border. */
  readonly look?: 'field' | 'button';
  /** The value stands for itself in `children`, so the label is said only to screen readers. Default: for fields. */
  readonly hiddenLabel?: boolean;
  readonly active?: boolean;
  readonly children: ReactNode;
}

export function ChoicePicker(props: ChoicePickerProps) {
  const { label, choices, selected, multiple = false, searchable = false, create, look = 'field' } = props;
  const [search, setSearch] = useState('');
  const [draft, setDraft] = useState<readonly string[]>(selected);
  const combobox = useCombobox({
    onDropdownOpen: () => {
      setDraft(selected);
      setSearch('');
      if (searchable) combobox.focusSearchInput();
      else combobox.updateSelectedOptionIndex('active');
    },
    onDropdownClose: () => {
      combobox.resetSelectedOption();
      if (searchable) combobox.focusTarget();
      if (multiple && draft.join('\n') !== selected.join('\n')) props.onChange([...draft]);
    },
  });
  const words = search.trim().toLowerCase();
  const found = choices.filter((choice) => choice.label.toLowerCase().includes(words));
  const created = create && words !== '' ? create(search) : undefined;
  const offersNew = created !== undefined && !choices.some((choice) => choice.value === created);
  const unknown = draft.filter((value) => !choices.some((choice) => choice.value === value));

  const submit = (value: string) => {
    if (!multiple) {
      combobox.closeDropdown();
      props.onChange([value]);
      return;
    }
    setDraft((values) => (values.includes(value) ? values.filter((each) => each !== value) : [...values, value]));
    setSearch('');
  };

  const option = (choice: Choice) => (
    <Combobox.Option
      key={choice.value}
      value={choice.value}
      active={draft.includes(choice.value)}
      className={classes.option}
    >
      {multiple && (
        <Checkbox
          checked={draft.includes(choice.value)}
          onChange={() => undefined}
          tabIndex={-1}
          aria-hidden
          size="xs"
        />
      )}
      {choice.mark}
      <span className={classes.label}>{choice.label}</span>
      {choice.note && (
        <Text span size="xs" c="dimmed">
          {choice.note}
        </Text>
      )}
      {!multiple && draft.includes(choice.value) && <span aria-hidden>✓</span>}
    </Combobox.Option>
  );

  return (
    <Combobox store={combobox} position="bottom-start" width={260} withinPortal onOptionSubmit={submit} shadow="md">
      <Combobox.Target targetType="button" withAriaAttributes>
        <UnstyledButton
          className={classes.target}
          data-look={look}
          data-active={props.active || undefined}
          disabled={props.disabled}
          onClick={() => combobox.toggleDropdown()}
        >
          {(props.hiddenLabel ?? look === 'field') && <VisuallyHidden>{label}: </VisuallyHidden>}
          {props.children}
        </UnstyledButton>
      </Combobox.Target>
      <Combobox.Dropdown>
        {searchable && (
          <Combobox.Search
            value={search}
            onChange={(event) => {
              setSearch(event.currentTarget.value);
              combobox.selectFirstOption();
            }}
            placeholder={create ? `Find or add ${label.toLowerCase()}` : `Find ${label.toLowerCase()}`}
            aria-label={create ? `Find or add ${label.toLowerCase()}` : `Find ${label.toLowerCase()}`}
          />
        )}
        <Combobox.Options className={classes.options} aria-label={label}>
          {words === '' && unknown.map((value) => option({ value, label: value }))}
          {found.map(option)}
          {offersNew && (
            <Combobox.Option value={created}>
              Add <b>{created}</b>
            </Combobox.Option>
          )}
          {found.length === 0 && !offersNew && <Combobox.Empty>Nothing found</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
