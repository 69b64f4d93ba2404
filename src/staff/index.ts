/**
 * staff: the operator's people and the door of the console. First-start set-up by a one-time link, sign-in, sessions that lock when idle.
 * Staff live in the control database and are nobody in any tenant. Uses the passwords, cookies and attempt limits of identity: the one
 * declared exception to the rule that features do not import each other.
 * Called by: main (set-up link at the start), console-api.
 */
export { staffErrors } from './errors.ts';
export { backgroundHeader, isBackground, staffRoutes } from './routes.ts';
export {
  consoleCookieName,
  createStaff,
  type Staff,
  type StaffDatabase,
  type StaffDeps,
  type StaffSession,
  type StartedStaffSession,
} from './staff.ts';
