/** Fills a new tenant with the daily work of a made-up company. Same variant, same data; only the days move with the calendar. */
import type { AppContext, AppDb, AppUser } from '../../sdk/index.ts';
import type { ItemState, Requester } from '../api.ts';
import { applyPatches } from '../changes.ts';
import { takeTopRanks } from '../columns.ts';
import { insertItem, lockItems, touchItem } from '../items.sql.ts';
import { rememberPeople } from '../people.ts';
import { countProjects, takeNumbers } from '../projects.sql.ts';
import { createProject } from '../projects.ts';
import { parseTags } from '../tags.ts';
import freight from './freight.json' with { type: 'json' };
import instruments from './instruments.json' with { type: 'json' };
import type { DemoItem, DemoProject } from './types.ts';

/** 0: a forwarding company with its own service desk. 1: a maker of laboratory instruments with customers. Checked by the database and a test. */
const variants = [freight, instruments] as readonly (readonly DemoProject[])[];
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** States that an item went through before it came to where it is. */
const paths: Readonly<Record<ItemState, readonly ItemState[]>> = {
  backlog: ['backlog'],
  todo: ['todo'],
  doing: ['todo', 'doing'],
  review: ['todo', 'doing', 'review'],
  done: ['todo', 'doing', 'done'],
  closed: ['todo', 'closed'],
};

/** Does nothing in a tenant that has projects. */
export async function fillDemo(context: AppContext, variant: number): Promise<void> {
  const projects = variants[Math.abs(Math.trunc(variant)) % variants.length]!;
  const users = await context.users.list();
  const staff = users.length > 0 ? users : [context.user];
  for (const [index, project] of projects.entries()) {
    // A transaction per project: each is small, and the whole is repeated only when nothing is there.
    await context.db.transact(async (db) => {
      if (index === 0 && (await countProjects(db)) > 0) throw new Error('the tenant has projects already');
      await rememberPeople(db, [...staff, context.user]);
      const projectId = await createProject(context, db, project);
      const oldestFirst = [...project.items].sort((a, b) => b.daysAgo - a.daysAgo);
      for (const [position, item] of oldestFirst.entries())
        await addItem(context, db, projectId, item, position, staff);
    });
  }
}

async function addItem(
  context: AppContext,
  db: AppDb,
  projectId: string,
  item: DemoItem,
  position: number,
  staff: readonly AppUser[],
): Promise<void> {
  const { daysAgo, state: lastState, type, priority, title, description } = item;
  const { made, step } = schedule(context.now(), daysAgo, position, lastState);
  const path = paths[lastState];
  const assignee = item.unassigned ? null : staff[position % staff.length]!;
  const author = staff[(position + 1) % staff.length]!;
  const state = path[0]!;
  const itemId = context.newId('itm');
  const numbers = await takeNumbers(db, projectId, 1);
  const [rank] = await takeTopRanks(db, { projectId, state }, 1);
  await insertItem(db, {
    itemId,
    projectId,
    number: numbers!.firstNumber,
    type,
    title,
    description,
    state,
    priority,
    assigneeId: null,
    tags: parseTags(item.tags),
    dueOn: item.dueInDays === undefined ? null : dayOf(context.now(), item.dueInDays),
    requester: parseRequester(item.from),
    rank: rank!,
    at: new Date(made),
    by: author.id,
    finishedAt: null,
  });
  const by = assignee ?? author;
  for (const [index, next] of [...path.slice(1), undefined].entries()) {
    const [locked] = await lockItems(db, [itemId], false);
    const [nextRank] = next ? await takeTopRanks(db, { projectId, state: next }, 1) : [];
    const patch = { state: next, ...(index === 0 ? { assignee } : {}) };
    await applyPatches(db, [{ item: locked!, patch, rank: nextRank }], new Date(made + step * (index + 1)), by.id);
  }
  for (const [index, body] of (item.comments ?? []).entries()) {
    const at = new Date(made + step * (index + 1) + step / 3);
    const commenter = index % 2 === 0 ? by : author;
    await touchItem(db, itemId, at, commenter.id);
    await db.query(
      'INSERT INTO comments (comment_id, item_id, body, author_id, created_at) VALUES ($1, $2, $3, $4, $5)',
      [context.newId('cmt'), itemId, body, commenter.id, at],
    );
  }
}

/** When it was made, and the time between what happened to it: finished within days, the rest spread until an hour ago. */
function schedule(now: Date, daysAgo: number, position: number, state: ItemState): { made: number; step: number } {
  // Different minutes of a working day, the same each time.
  const made = now.getTime() - daysAgo * dayMs - ((position * 97) % 420) * 60_000;
  const age = now.getTime() - hourMs - made;
  const isFinished = state === 'done' || state === 'closed';
  const span = isFinished ? Math.min(age, (1 + (position % 4)) * dayMs) : age;
  return { made, step: Math.max(60_000, Math.floor(span / 5)) };
}

function dayOf(now: Date, days: number): string {
  return new Date(now.getTime() + days * dayMs).toISOString().slice(0, 10);
}

function parseRequester(from: string | undefined): Requester | null {
  const match = /^(.+) <(.+)>$/.exec(from ?? '');
  return match ? { name: match[1]!, email: match[2]! } : null;
}
