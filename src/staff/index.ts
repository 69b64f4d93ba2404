/**
 * staff: the operator's people and the door of the console. Set-up by a one-time link, sign-in in two steps, sessions that lock when idle, step-up for
 * dangerous acts. Staff live in the control database and are nobody in any tenant. Uses the passwords, cookies, codes and attempt limits of
 * identity: the one declared exception to the rule that features do not import each other.
 * Invariants: without a second factor a session is good for setting one up and nothing else; whoever has one gets no session without it; codes,
 * links and waiting sign-ins are used up in one statement; an act and its audit event are one transaction.
 * Called by: main (set-up links, the console's door), console-api.
 */
export { consoleCookieName, type StaffSession } from './console-sessions.ts';
export { staffErrors } from './errors.ts';
export { backgroundHeader, isBackground, requireFactor, staffRoutes } from './routes.ts';
export { createStaff, type Staff, type StaffDatabase, type StaffDeps } from './staff.ts';
