/**
 * After a sign-out: what this tab remembers of the account, unsaved text above all, is forgotten, and another page is loaded in place of the one that
 * shows it. Whoever uses the browser next finds nothing (ASVS 5.0 14.3.1).
 */
export function leaveAccount(to: string): void {
  forgetTab();
  window.location.assign(to);
}

export function forgetTab(): void {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is forbidden, so there is nothing in it.
  }
}
