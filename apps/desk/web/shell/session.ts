import { signOut as leave, notifyProblem } from '../../../../web/design/index.ts';

/** Whoever signs out does not want to come back here; requests that were under way may still find the session gone. */
let leaving = false;

/** The session has ended: sign in, and come back to this very place. */
export function goToSignIn(): void {
  if (leaving) return;
  const here = window.location.pathname + window.location.search;
  window.location.assign(here === '/' ? '/-/sign-in' : `/-/sign-in?next=${encodeURIComponent(here)}`);
}

export async function signOut(): Promise<void> {
  leaving = true;
  try {
    await leave();
  } catch (error) {
    leaving = false;
    notifyProblem(error);
  }
}
