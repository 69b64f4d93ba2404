/**
 * processes: apps that run as processes, one per tenant: their sandbox, who is awake, their logs (docs/decisions/0038).
 * Invariants: one tenant's process reaches its own folder, database and port and nothing else; it runs only while its tenant is open;
 * none sleeps while a request of it is under way. The supervisor starts processes, the keeper decides, control knows what to run.
 */
export type * from './types.ts';
