import { PasswordInput, Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type Ref, useId } from 'react';
import { apiFetch } from './api.ts';
import { RuleList, StrengthBar } from './fields.tsx';

export interface PasswordVerdict {
  readonly accepted: boolean;
  readonly score: 0 | 1 | 2 | 3 | 4;
  /** Why it is refused, in words for the person, the one to mend first in front. */
  readonly problems: readonly { readonly rule: string; readonly text: string; readonly fix: string }[];
}

/** As the server has it: NIST SP 800-63B-4 for a password that is the only factor. */
const minPasswordLength = 15;

export interface NewPasswordProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly error?: string | undefined;
  readonly label?: string;
  /** `POST {password, email, name}` → PasswordVerdict. */
  readonly checkUrl: string;
  /** What the password must not contain besides the tenant's name. */
  readonly context: { readonly email?: string; readonly name?: string };
  readonly ref?: Ref<HTMLInputElement>;
}

/**
 * A new password with its rules judged while it is typed. The server judges (its list of known passwords stays there);
 * the check is advice, the same rules refuse on saving.
 */
export function NewPassword(props: NewPasswordProps) {
  const { value, onChange, error, label = 'New password', context, checkUrl, ref } = props;
  const id = useId();
  const verdict = usePasswordVerdict(checkUrl, value, context);
  const longEnough = [...value].length >= minPasswordLength;
  const judged = value !== '' && verdict !== undefined;
  return (
    <Stack gap="xs">
      <PasswordInput
        ref={ref}
        name="new-password"
        label={label}
        autoComplete="new-password"
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        error={error}
        errorProps={{ id: `${id}-error` }}
        // Mantine marks only the box around the input.
        aria-invalid={error !== undefined}
        aria-describedby={error === undefined ? id : `${id}-error ${id}`}
        visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
      />
      <div id={id}>
        <StrengthBar score={value === '' ? 0 : score(verdict, longEnough)} label={strengthWords(value, verdict)} />
        <Text size="sm" c="dimmed" mt={4} mb={6} aria-live="polite">
          {strengthWords(value, verdict)}
        </Text>
        <RuleList
          rules={[
            {
              text: `At least ${minPasswordLength} characters; a sentence is fine`,
              met: value ? longEnough : undefined,
            },
            {
              text: 'Not a known or easily guessed password, nor your name or e-mail',
              met: judged && longEnough ? verdict.accepted : undefined,
            },
          ]}
        />
        {judged && longEnough && !verdict.accepted && (
          <Text size="sm" mt={6}>
            {verdict.problems[0]?.text} {verdict.problems[0]?.fix}
          </Text>
        )}
      </div>
    </Stack>
  );
}

function usePasswordVerdict(
  url: string,
  password: string,
  context: NewPasswordProps['context'],
): PasswordVerdict | undefined {
  const [settled] = useDebouncedValue(password, 250);
  const check = useQuery({
    // The password is part of the key only to tell answers apart; it is dropped from memory as soon as it is not shown.
    queryKey: ['password-check', settled, context.email, context.name],
    queryFn: ({ signal }) =>
      apiFetch<PasswordVerdict>(url, {
        method: 'POST',
        body: { password: settled, ...context },
        signal,
      }),
    enabled: settled !== '',
    placeholderData: keepPreviousData,
    gcTime: 0,
    retry: false,
    meta: { expects401: true },
  });
  return check.data;
}

/** Four segments: one for too short or unknown, two for refused, three and four for accepted. */
function score(verdict: PasswordVerdict | undefined, longEnough: boolean): 0 | 1 | 2 | 3 | 4 {
  if (!verdict || !longEnough) return 1;
  if (!verdict.accepted) return 2;
  return verdict.score === 4 ? 4 : 3;
}

function strengthWords(value: string, verdict: PasswordVerdict | undefined): string {
  if (value === '') return 'Any characters are allowed, spaces as well.';
  if (!verdict) return 'Checking';
  if (!verdict.accepted) return 'Not accepted yet';
  return verdict.score === 4 ? 'Strong' : 'Accepted';
}
