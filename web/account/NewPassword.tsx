import { PasswordInput, Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type Ref, useId } from 'react';
import { apiFetch, RuleList, StrengthBar } from '../design/index.ts';

export interface PasswordVerdict {
  readonly acceptable: boolean;
  readonly score: 0 | 1 | 2 | 3 | 4;
  /** Why it is refused, each in words for the person; empty when it is acceptable. */
  readonly problems: readonly string[];
}

export const minPasswordLength = 12;

export interface NewPasswordProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly error?: string | undefined;
  readonly label?: string;
  /** What the password must not contain besides the tenant's name. */
  readonly context: { readonly email?: string; readonly name?: string };
  readonly ref?: Ref<HTMLInputElement>;
}

/**
 * A new password with its rules judged while it is typed. The server judges (its list of known passwords stays there);
 * the check is advice, the same rules refuse on saving.
 */
export function NewPassword({ value, onChange, error, label = 'New password', context, ref }: NewPasswordProps) {
  const id = useId();
  const verdict = usePasswordVerdict(value, context);
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
        aria-describedby={id}
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
              met: judged && longEnough ? verdict.acceptable : undefined,
            },
          ]}
        />
        {judged && longEnough && !verdict.acceptable && (
          <Text size="sm" mt={6}>
            {verdict.problems.join(' ')}
          </Text>
        )}
      </div>
    </Stack>
  );
}

function usePasswordVerdict(password: string, context: NewPasswordProps['context']): PasswordVerdict | undefined {
  const [settled] = useDebouncedValue(password, 250);
  const check = useQuery({
    // The password is part of the key only to tell answers apart; it is dropped from memory as soon as it is not shown.
    queryKey: ['password-check', settled, context.email, context.name],
    queryFn: ({ signal }) =>
      apiFetch<PasswordVerdict>('/-/api/password-check', {
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

function score(verdict: PasswordVerdict | undefined, longEnough: boolean): 0 | 1 | 2 | 3 | 4 {
  if (!verdict) return 1;
  if (verdict.acceptable) return verdict.score < 3 ? 3 : verdict.score;
  return longEnough && verdict.score >= 2 ? 2 : 1;
}

function strengthWords(value: string, verdict: PasswordVerdict | undefined): string {
  if (value === '') return 'Any characters are allowed, spaces as well.';
  if (!verdict) return 'Checking';
  if (!verdict.acceptable) return 'Not accepted yet';
  return verdict.score >= 4 ? 'Strong' : 'Accepted';
}
