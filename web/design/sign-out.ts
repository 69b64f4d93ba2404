import { apiFetch } from './api.ts';
import { leaveAccount } from './leave.ts';

/** Signs out of a tenant, and goes where the server says: to a page that says so, or on to the organisation, which is to sign out, too. */
export async function signOut(): Promise<void> {
  const { next } = await apiFetch<{ next: string }>('/-/api/session/sign-out', { method: 'POST' });
  leaveAccount(next);
}
