import { PasswordInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { CodeInput } from './CodeInput.tsx';
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

export interface ConfirmationProps {
  /** Of the user, so that password managers know whose password is asked for. */
  readonly email: string;
  /** Of the password. Default: Your password. */
  readonly label?: string;
  /** What becomes of it. */
  readonly why?: string;
  /** Of the act. */
  readonly error: unknown;
  readonly takesFocus?: boolean;
  /** Somebody has a second factor. A server that asks for a code is believed, too. */
  readonly hasFactor: boolean;
  /** What can be shown in place of a code; `isShown`: it was, and no code is asked for. */
  readonly otherFactor?: { readonly offer: ReactNode; readonly isShown: boolean };
  /** False: it was shown a moment ago. Default: true. */
  readonly asksPassword?: boolean;
}

/** The fields of an act for which a session is not enough: the password, and a code for who has a second factor. */
export function useConfirmationFields(props: ConfirmationProps): Confirmation {
  const {
    email,
    label = 'Your password',
    why,
    error,
    takesFocus = false,
    hasFactor,
    otherFactor,
    asksPassword = true,
  } = props;
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const wrong = { password: asksPassword ? passwordProblem(error) : undefined, code: codeProblem(error) };
  const asksCode = !otherFactor?.isShown && (hasFactor || wrong.code !== undefined);
  const fields = (
    <>
      {asksPassword && (
        <>
          <input type="text" name="username" autoComplete="username" value={email} readOnly hidden />
          <PasswordInput
            name="current-password"
            label={label}
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
        </>
      )}
      {otherFactor?.offer}
      {asksCode && (
        <CodeInput
          label="Code"
          description={
            otherFactor ? 'Or a code from your app, or a recovery code.' : 'From your app, or a recovery code.'
          }
          inputMode="text"
          maxLength={60}
          maw="24rem"
          data-autofocus={(takesFocus && !asksPassword) || undefined}
          autoFocus={takesFocus && !asksPassword}
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
    isReady: (!asksPassword || password !== '') && (!asksCode || code.trim() !== ''),
    isExplained: wrong.password !== undefined || wrong.code !== undefined,
  };
}
