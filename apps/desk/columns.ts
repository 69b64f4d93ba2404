/**
 * Order inside board columns. A column is (project, state); whoever puts a card into one holds its lock until the end of the transaction.
 * Order of locks everywhere: project row (numbers) → columns, sorted → item rows, by id.
 */
import type { AppDb } from '../sdk/index.ts';
import type { ItemState } from './api.ts';
import { moveTargetGone } from './errors.ts';
import { maxRankLength, rankBetween, ranksAfter, ranksBefore } from './ranks.ts';

export interface Column {
  readonly projectId: string;
  readonly state: ItemState;
}

export async function lockColumns(db: AppDb, columns: readonly Column[]): Promise<void> {
  const names = [...new Set(columns.map(({ projectId, state }) => `desk.column:${projectId}:${state}`))].sort();
  for (const name of names) await db.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
}

/** Places at the top of a locked column, in order. */
export async function takeTopRanks(db: AppDb, { projectId, state }: Column, count: number): Promise<string[]> {
  const [row] = await db.query<{ rank: string | null }>(
    'SELECT min(rank) AS rank FROM items WHERE project_id = $1 AND state = $2',
    [projectId, state],
  );
  return ranksBefore(row?.rank ?? undefined, count);
}

/** Places at the bottom of a locked column, in order. */
export async function takeBottomRanks(db: AppDb, { projectId, state }: Column, count: number): Promise<string[]> {
  const [row] = await db.query<{ rank: string | null }>(
    'SELECT max(rank) AS rank FROM items WHERE project_id = $1 AND state = $2',
    [projectId, state],
  );
  return ranksAfter(row?.rank ?? undefined, count);
}

export interface Neighbours {
  /** The card below. */
  readonly beforeId?: string | null | undefined;
  /** The card above. */
  readonly afterId?: string | null | undefined;
}

/** A place next to a card of a locked column. The other neighbour is looked up here: the page may show only some of the cards. */
export async function takeRankBeside(
  db: AppDb,
  column: Column,
  movedId: string,
  { beforeId, afterId }: Neighbours,
): Promise<string> {
  if (!afterId && !beforeId) return (await takeTopRanks(db, column, 1))[0]!;
  const rank = await findRankBeside(db, column, movedId, { beforeId, afterId });
  if (rank === undefined) throw moveTargetGone();
  if (rank.length <= maxRankLength) return rank;
  await renumberColumn(db, column);
  const roomy = await findRankBeside(db, column, movedId, { beforeId, afterId });
  if (roomy === undefined) throw moveTargetGone();
  return roomy;
}

async function findRankBeside(
  db: AppDb,
  column: Column,
  movedId: string,
  { beforeId, afterId }: Neighbours,
): Promise<string | undefined> {
  const above = afterId ? await findRank(db, column, afterId) : undefined;
  if (above !== undefined) {
    const below = await findNextRank(db, column, movedId, above, '>');
    return below === undefined ? ranksAfter(above, 1)[0]! : rankBetween(above, below);
  }
  const below = beforeId ? await findRank(db, column, beforeId) : undefined;
  if (below === undefined) return undefined;
  const next = await findNextRank(db, column, movedId, below, '<');
  return next === undefined ? ranksBefore(below, 1)[0]! : rankBetween(next, below);
}

async function findRank(db: AppDb, { projectId, state }: Column, itemId: string): Promise<string | undefined> {
  const [row] = await db.query<{ rank: string }>(
    'SELECT rank FROM items WHERE item_id = $1 AND project_id = $2 AND state = $3',
    [itemId, projectId, state],
  );
  return row?.rank;
}

async function findNextRank(
  db: AppDb,
  { projectId, state }: Column,
  movedId: string,
  rank: string,
  side: '<' | '>',
): Promise<string | undefined> {
  const [row] = await db.query<{ rank: string | null }>(
    `SELECT ${side === '>' ? 'min' : 'max'}(rank) AS rank FROM items
     WHERE project_id = $1 AND state = $2 AND item_id <> $3 AND rank ${side} $4`,
    [projectId, state, movedId, rank],
  );
  return row?.rank ?? undefined;
}

/** Gives every card of a locked column a short rank, in the same order. Versions stay: nobody's view of an item changes. */
async function renumberColumn(db: AppDb, { projectId, state }: Column): Promise<void> {
  // By id, like every other lock on several items.
  await db.query('SELECT item_id FROM items WHERE project_id = $1 AND state = $2 ORDER BY item_id FOR UPDATE', [
    projectId,
    state,
  ]);
  const cards = await db.query<{ item_id: string }>(
    'SELECT item_id FROM items WHERE project_id = $1 AND state = $2 ORDER BY rank, item_id',
    [projectId, state],
  );
  await db.query(
    `UPDATE items i SET rank = n.rank FROM unnest($1::text[], $2::text[]) AS n (item_id, rank) WHERE i.item_id = n.item_id`,
    [cards.map(({ item_id }) => item_id), ranksAfter(undefined, cards.length)],
  );
}
