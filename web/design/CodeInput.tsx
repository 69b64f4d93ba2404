import { TextInput, type TextInputProps } from '@mantine/core';

export interface CodeInputProps extends Omit<TextInputProps, 'value' | 'onChange'> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Recovery codes have letters: the keyboard of a telephone shows them, and nothing fills the field by itself. */
  readonly kind?: 'app' | 'recovery';
}

/** A code of the app, or a recovery code. */
export function CodeInput({ value, onChange, kind = 'app', error, ...rest }: CodeInputProps) {
  return (
    <TextInput
      name="code"
      label={kind === 'app' ? 'Code from your app' : 'Recovery code'}
      description={
        kind === 'app'
          ? 'Six digits; a new one every 30 seconds.'
          : 'One of the ten that you kept, six groups of four signs.'
      }
      inputMode={kind === 'app' ? 'numeric' : 'text'}
      autoComplete={kind === 'app' ? 'one-time-code' : 'off'}
      autoCapitalize="none"
      spellCheck={false}
      maxLength={kind === 'app' ? 12 : 60}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      error={error}
      aria-invalid={error !== undefined}
      {...rest}
    />
  );
}
