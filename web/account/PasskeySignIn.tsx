import { Button, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { apiFetch, ProblemNotice } from '../design/index.ts';
import {
  browserSupportsWebAuthnAutofill,
  isOfBrowser,
  isReplaced,
  knowsPasskeys,
  type PasskeyAssertion,
  showPasskey,
  WebAuthnAbortService,
} from './passkey-api.ts';

const optionsPath = '/-/api/session/passkey/options';
/** What was asked for is good for five minutes. */
const askAgainMs = 240_000;

/** In place of e-mail and password: by a button, and among what the browser offers below the field of the e-mail address. */
export function PasskeySignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [round, setRound] = useState(0);
  const signIn = useMutation({
    mutationFn: async (chosen?: PasskeyAssertion) => {
      const passkey = chosen ?? (await showPasskey(optionsPath));
      await apiFetch('/-/api/session/passkey', { method: 'POST', body: { passkey } });
    },
    // A passkey that is not accepted is an answer for this page.
    meta: { expects401: true },
    onSuccess: onSignedIn,
    // What the server refuses it would refuse again: only the button is left for that.
    onError: (error) => isOfBrowser(error) && setRound((before) => before + 1),
  });
  useAutofill(round, (chosen) => signIn.mutate(chosen));
  if (!knowsPasskeys) return null;
  return (
    <Stack gap="xs">
      <Button
        variant="default"
        fullWidth
        loading={signIn.isPending || signIn.isSuccess}
        onClick={() => signIn.mutate(undefined)}
      >
        Use a passkey
      </Button>
      {!signIn.isPending && !isReplaced(signIn.error) && <ProblemNotice error={signIn.error} />}
    </Stack>
  );
}

/** Waits for the choice below the field, asks anew before what was asked is over, and begins anew with each `round`. Where the browser cannot: nothing. */
function useAutofill(round: number, onChosen: (chosen: PasskeyAssertion) => void) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new handler is no reason to ask anew
  useEffect(() => {
    let isOver = false;
    const wait = async () => {
      if (!knowsPasskeys || !(await browserSupportsWebAuthnAutofill()) || isOver) return;
      const chosen = await showPasskey(optionsPath, true);
      if (!isOver) onChosen(chosen);
    };
    // The button is there as well, and says what is wrong.
    const begin = () => void wait().catch(() => {});
    begin();
    const again = setInterval(begin, askAgainMs);
    return () => {
      isOver = true;
      clearInterval(again);
    };
  }, [round]);
  useEffect(() => () => WebAuthnAbortService.cancelCeremony(), []);
}
