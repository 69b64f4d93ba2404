/** Parts of forms. */
import { CloseButton, TextInput, type TextInputProps, VisuallyHidden } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { ProblemError } from './api.ts';
import classes from './fields.module.css';
import { IconSearch } from './icons.ts';
import { Shape } from './StateBadge.tsx';

/** The part of a `useForm` of Mantine that is needed here. */
interface FormWithFields {
  getValues(): Record<string, unknown>;
  setFieldError(name: string, message: string): void;
}

/** Puts the server's messages beside their fields. Returns true when every message found one. */
export function showFieldProblems(form: FormWithFields, error: unknown): boolean {
  if (!(error instanceof ProblemError)) return false;
  const names = Object.keys(error.problem.fields);
  const known = names.filter((name) => name in form.getValues());
  for (const name of known) form.setFieldError(name, error.problem.fields[name] ?? '');
  return names.length > 0 && known.length === names.length;
}

export interface SearchFieldProps extends Omit<TextInputProps, 'value' | 'onChange'> {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** Search box; `/` from anywhere on the page puts the cursor into it, Escape empties it. */
export function SearchField({ label, value, onChange, ...rest }: SearchFieldProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focusOnSlash = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener('keydown', focusOnSlash);
    return () => document.removeEventListener('keydown', focusOnSlash);
  }, []);
  return (
    <TextInput
      ref={input}
      type="search"
      aria-label={label}
      placeholder={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onChange('');
      }}
      leftSection={<IconSearch size={16} aria-hidden />}
      rightSection={value && <CloseButton size="sm" aria-label="Empty the search" onClick={() => onChange('')} />}
      autoComplete="off"
      {...rest}
    />
  );
}

/** `score` 0 (nothing yet) … 4. Calm: says what is there, forbids nothing. */
export function StrengthBar({ score, label }: { score: 0 | 1 | 2 | 3 | 4; label: string }) {
  return (
    <div className={classes.strength} data-score={score} role="img" aria-label={label}>
      <span />
      <span />
      <span />
      <span />
    </div>
  );
}

/** Rules with their state: met, not met, or not judged yet (undefined). */
export function RuleList({
  rules,
}: {
  rules: readonly { readonly text: string; readonly met: boolean | undefined }[];
}) {
  return (
    <ul className={classes.rules}>
      {rules.map((rule) => (
        <li key={rule.text} data-met={rule.met}>
          <Shape tone={rule.met === undefined ? 'quiet' : rule.met ? 'ok' : 'late'} size={12} />
          {rule.text}
          <VisuallyHidden>{rule.met === undefined ? '' : rule.met ? ': met' : ': not met'}</VisuallyHidden>
        </li>
      ))}
    </ul>
  );
}
