import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import * as sql from './standing-sql.ts';
import type { Ring } from './types.ts';

/** Of notes of versions, in one answer. */
const shownVersions = 20;

/** Which version a tenant runs, what changed, and what comes. */
export interface TenantStanding {
  readonly app: { readonly name: string; readonly title: string };
  readonly version: string;
  readonly since: Date;
  readonly ring: Ring;
  /** A person gave it its version: releases pass it over. */
  readonly isHeld: boolean;
  /** The version that it runs, then earlier ones; at most 20. */
  readonly versions: readonly sql.VersionNotes[];
  /** A release that will reach it. null: none, or it is not for this tenant. */
  readonly coming: {
    readonly version: string;
    readonly notes: string;
    /** `now`: it is being given it. `announced`: its ring's turn has not come, or it waits for others of its ring. `paused`: somebody looks at the release. */
    readonly stage: 'now' | 'announced' | 'paused';
    /** That the release has reached. */
    readonly ring: Ring;
  } | null;
}

/** What tenants run, for pages. */
export interface Standings {
  /** Of each ring, by version. */
  ringVersions(): Promise<sql.RingVersion[]>;
  /** Undefined: its app does not run as a process. */
  find(tenantId: TenantId): Promise<TenantStanding | undefined>;
}

export function createStandings({ db }: { readonly db: Queryable }): Standings {
  return { ringVersions: () => sql.selectRingVersions(db), find: (tenantId) => findStanding(db, tenantId) };
}

async function findStanding(db: Queryable, tenantId: TenantId): Promise<TenantStanding | undefined> {
  const row = await sql.findTenantStanding(db, tenantId);
  if (!row) return undefined;
  const { app: name, title, ...facts } = row;
  const open = facts.isHeld ? undefined : await sql.findOpenRelease(db, tenantId);
  return {
    app: { name, title },
    ...facts,
    versions: await sql.selectNotes(db, name, facts.version, shownVersions),
    coming: open ? comingOf(open) : null,
  };
}

/** Nothing is announced that may still fail its rehearsal, and nothing that has gone wrong here. */
function comingOf({ version, notes, state, ring, tenantState }: sql.ComingRow): TenantStanding['coming'] {
  if (state !== 'running' && state !== 'paused' && state !== 'halted') return null;
  if (tenantState !== null && tenantState !== 'waiting' && tenantState !== 'running') return null;
  const stage = tenantState === 'running' ? 'now' : state === 'running' ? 'announced' : 'paused';
  return { version, notes, stage, ring };
}
