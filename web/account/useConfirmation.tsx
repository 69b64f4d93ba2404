import { Button, Group, Text } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import {
  type Confirmation as CommonConfirmation,
  type Shown as CommonShown,
  type ConfirmationProps,
  IconCheck,
  ProblemNotice,
  useConfirmationFields,
} from '../design/index.ts';
import { secondFactorQuery } from './api.ts';
import { knowsPasskeys, type PasskeyAssertion, showPasskey } from './passkey-api.ts';

export interface Shown extends CommonShown {
  /** In place of a code. */
  readonly passkey?: PasskeyAssertion;
}

interface Confirmation extends CommonConfirmation {
  readonly shown: Shown;
}

/** The fields of an act of this tenant's user for which a session is not enough. Whoever has a passkey may show it in place of a code. */
export function useConfirmation(
  props: Omit<ConfirmationProps, 'hasFactor' | 'asksPassword' | 'otherFactor'>,
): Confirmation {
  const { data: factor } = useQuery(secondFactorQuery);
  const hasPasskey = knowsPasskeys && factor?.passkeys.some(({ host }) => host === window.location.hostname);
  const passkey = useMutation({ mutationFn: () => showPasskey('/-/api/passkeys/confirmation') });
  // Each is good for one try.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the answer of a try, and nothing else
  useEffect(() => {
    if (props.error) passkey.reset();
  }, [props.error]);
  const offer = hasPasskey ? (
    passkey.data ? (
      <Group gap="xs" role="status">
        <IconCheck size={16} aria-hidden />
        <Text>Passkey shown</Text>
      </Group>
    ) : (
      <div>
        <Button variant="default" loading={passkey.isPending} onClick={() => passkey.mutate()}>
          Use your passkey
        </Button>
        <ProblemNotice error={passkey.error} />
      </div>
    )
  ) : undefined;
  const confirmation = useConfirmationFields({
    ...props,
    hasFactor: Boolean(factor?.enrolledAt || factor?.passkeys.length),
    ...(offer && { otherFactor: { offer, isShown: Boolean(passkey.data) } }),
  });
  const { password } = confirmation.shown;
  return { ...confirmation, shown: passkey.data ? { password, passkey: passkey.data } : confirmation.shown };
}
