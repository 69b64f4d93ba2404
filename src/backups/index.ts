/**
 * backups: WAL to two regions, base backups per database, dumps, restores, retention, verification.
 * Invariants: nothing is removed that a restore within retention needs; what a region holds never changes under its name;
 * a restore reaches its target or fails. Callers: the processes `shipper` and `backup`, control, the console.
 */
export * from './base/index.ts';
export * from './catalogue/index.ts';
export * from './dumps/index.ts';
export * from './files/index.ts';
export * from './link/index.ts';
export * from './restore/index.ts';
export * from './retention/index.ts';
export * from './shipping/index.ts';
export type * from './types.ts';
export * from './verification/index.ts';
