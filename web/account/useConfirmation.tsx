import { PasswordInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { CodeInput } from '../design/index.ts';
import { secondFactorQuery } from './api.ts';
import { codeProblem, passwordProblem } from './refusals.ts';

/** What is shown again of oneself, as the server takes it. */
export interface Shown {
  readonly password: string;
  readonly code?: string;
}

export interface Confirmation {
  readonly fields: ReactNode;
  readonly shown: Shown;
  readonly isReady: boolean;
  /** What was wrong stands beside its field. */
  readonly isExplained: boolean;
}

/**
 * The fields of an act for which a session is not enough: the password, and a code for who has a second factor. `email`: of the user, so that
 * password managers know whose password is asked for; `why`: what becomes of it; `error`: of the act.
 */
export function useConfirmation(props: {
  email: string;
  why?: string;
  error: unknown;
  takesFocus?: boolean;
}): Confirmation {
  const { email, why, error, takesFocus = false } = props;
  const hasFactor = Boolean(useQuery(secondFactorQuery).data?.enrolledAt);
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const wrong = { password: passwordProblem(error), code: codeProblem(error) };
  const asksCode = hasFactor || wrong.code !== undefined;
  const fields = (
    <>
      <input type="text" name="username" autoComplete="username" value={email} readOnly hidden />
      <PasswordInput
        name="current-password"
        label="Your password"
        description={why}
        autoComplete="current-password"
        maw="24rem"
        data-autofocus={takesFocus || undefined}
        autoFocus={takesFocus}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        error={wrong.password}
        aria-invalid={wrong.password !== undefined}
        visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
      />
      {asksCode && (
        <CodeInput
          label="Code"
          description="From your app, or a recovery code."
          inputMode="text"
          maxLength={60}
          maw="24rem"
          value={code}
          onChange={setCode}
          error={wrong.code}
        />
      )}
    </>
  );
  return {
    fields,
    shown: { password, ...(asksCode && { code }) },
    isReady: password !== '' && (!asksCode || code.trim() !== ''),
    isExplained: wrong.password !== undefined || wrong.code !== undefined,
  };
}
