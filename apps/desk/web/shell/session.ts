import { apiFetch, notifyProblem } from '../../../../web/design/index.ts';

/** The session has ended: sign in, and come back to this very place. */
export function goToSignIn(): void {
  const here = window.location.pathname + window.location.search;
  window.location.assign(here === '/' ? '/-/sign-in' : `/-/sign-in?next=${encodeURIComponent(here)}`);
}

export async function signOut(): Promise<void> {
  try {
    await apiFetch('/-/api/session', { method: 'DELETE' });
    window.location.assign('/-/sign-in');
  } catch (error) {
    notifyProblem(error);
  }
}
