/**
 * Everything that goes over the wire between Desk's page and Desk's server: types only, no imports, no values.
 *
 * Common rules
 * - Paths begin with `/api/`. JSON in, JSON out; uploads are multipart/form-data with one field `file`.
 * - Times are ISO 8601 in UTC (`2026-03-04T05:06:07.890Z`), days are `YYYY-MM-DD`. `null` means "none", never "unknown".
 * - `:item` takes an id (`itm_…`) or a key (`ABC-12`, any case); `:project` takes an id (`prj_…`) or a key (`ABC`).
 * - Lists are paged by `limit` (1–100, default 50) and an opaque `cursor` taken from `nextCursor` of the page before, sent with
 *   the same filters and the same sort. `nextCursor: null` means: that was the last page.
 * - Query values that take several choices are comma-separated: `state=todo,doing`. An unknown choice is a 400.
 * - Errors are RFC 9457 problem documents: `{type, title, status, code, detail?, hint?, fields?, requestId}`. For `DESK_` codes `title` is the sentence to show; see {@link DeskErrorCode}.
 * - `version` counts changes of an item, project or comment. Send the version you saw; if it is old, the answer is 409 and says what is there now
 *   (for items: `DESK_ITEM_CHANGED` with `fields.version` "is 7 now"; fetch the item again and let the person decide). Moving a card inside its column does not count as a change.
 */

// ---------------------------------------------------------------------------------------------------------------- basic

export type UserId = string;
export type Timestamp = string;
/** `YYYY-MM-DD` */
export type Day = string;
/** Markdown as it was typed; the page renders it safely. */
export type Markdown = string;

export type UserRole = 'owner' | 'admin' | 'member';
export type ItemType = 'task' | 'bug' | 'request' | 'question' | 'incident';
/** Order of the board's columns. Open: all but `done` and `closed`. `closed`: ended without being done, or filed away. */
export type ItemState = 'backlog' | 'todo' | 'doing' | 'review' | 'done' | 'closed';
export type Priority = 'urgent' | 'high' | 'normal' | 'low';

/** Somebody as shown beside an item. The name is kept even after the user was disabled. */
export interface UserRef {
  id: UserId;
  name: string;
}

/** Tags are lower case, single-spaced, 1–40 characters, at most 20 on an item. The colour depends on the name alone: 0–11, an index into a palette. */
export interface Tag {
  name: string;
  color: number;
}

/** How many there are: counted exactly up to 10,000, then `{count: 10000, exact: false}` ("more than 10,000"). */
export interface Total {
  count: number;
  exact: boolean;
}

// ----------------------------------------------------------------------------------------------------------- who and what

/** `GET /api/me` */
export interface Me {
  user: { id: UserId; email: string; name: string; role: UserRole };
  tenant: { name: string; title: string; url: string };
  /** What to offer; the server checks it again. */
  can: { manageProjects: boolean; importItems: boolean; deleteItems: boolean; moderateComments: boolean };
}

/** `GET /api/users`: everybody an item can name, ordered by name; only `active` ones can become assignees. */
export interface UserList {
  users: User[];
}
export interface User {
  id: UserId;
  name: string;
  email: string;
  /** null: no longer a user of this tenant. */
  role: UserRole | null;
  active: boolean;
}

/** `GET /api/summary`: the home page. Archived projects are left out. */
export interface Summary {
  byState: StateCount[];
  /** Open items assigned to me. */
  mine: { total: number; overdue: number; items: ItemSummary[] };
  openUnassigned: number;
  openUrgent: number;
  overdue: number;
  /** The 10 items changed last. */
  recent: ItemSummary[];
  projects: { id: string; key: string; name: string; open: number; total: number }[];
}
export interface StateCount {
  state: ItemState;
  count: number;
}

/** `GET /api/tags?project=&q=&limit=`: tags in use, most used first (at most 100). */
export interface TagList {
  tags: (Tag & { count: number })[];
}

// --------------------------------------------------------------------------------------------------------------- projects

export interface Project {
  id: string;
  /** 2–6 capitals, unique for ever. */
  key: string;
  name: string;
  description: Markdown;
  archived: boolean;
  openCount: number;
  itemCount: number;
  version: number;
  createdAt: Timestamp;
  updatedAt: Timestamp;
  createdBy: UserRef;
}

/** `GET /api/projects?archived=true|false|all` (default false), ordered by name. At most 500. */
export interface ProjectList {
  projects: Project[];
}

/** `POST /api/projects` (admins) → 201 {@link Project} */
export interface CreateProject {
  key: string;
  /** 1–120 characters */
  name: string;
  /** ≤ 10,000 characters */
  description?: Markdown;
}

/** `PATCH /api/projects/:project` (admins) → {@link Project}. `GET /api/projects/:project` → {@link Project}. */
export interface UpdateProject {
  version: number;
  name?: string;
  description?: Markdown;
  /** Items of an archived project can be read, not changed (409 DESK_PROJECT_ARCHIVED). */
  archived?: boolean;
}

// ------------------------------------------------------------------------------------------------------------------ items

export interface ItemSummary {
  id: string;
  /** `ABC-12` */
  key: string;
  number: number;
  projectId: string;
  projectKey: string;
  type: ItemType;
  title: string;
  state: ItemState;
  priority: Priority;
  assignee: UserRef | null;
  /** Ordered by name. */
  tags: Tag[];
  dueOn: Day | null;
  requester: Requester | null;
  /** Number in the system it was imported from. */
  reference: string | null;
  commentCount: number;
  attachmentCount: number;
  version: number;
  createdAt: Timestamp;
  createdBy: UserRef;
  updatedAt: Timestamp;
  updatedBy: UserRef;
  /** When it last became done or closed; null while open. */
  finishedAt: Timestamp | null;
  /** Only with `q`: where the words were found. */
  match?: SearchMatch;
}

export interface Item extends ItemSummary {
  description: Markdown;
  /** Import that made it. */
  importId: string | null;
}

/** Somebody outside who asked, for tickets that came from elsewhere. At least one of the two is set. */
export interface Requester {
  name: string | null;
  email: string | null;
}

/** Pieces of plain text in order; `hit` pieces are to be marked. No markup inside. */
export interface SearchMatch {
  title: TextPiece[];
  /** A few short passages of the description; empty when the words are in the title, tags or requester only. */
  description: TextPiece[];
}
export interface TextPiece {
  text: string;
  hit: boolean;
}

/** `GET /api/items` → {@link ItemList}; the filters also serve the board and the CSV export. */
export interface ItemQuery extends ItemFilter {
  sort?: ItemSort;
  limit?: number;
  cursor?: string;
}
export interface ItemFilter {
  /** Ids or keys, comma-separated. Without it: every project that is not archived. */
  project?: string;
  /** Words, "quoted phrases", -without, or. A key (`ABC-12`) finds that item. ≤ 200 characters. */
  q?: string;
  /** Several; `open` stands for all open states. */
  state?: string;
  type?: string;
  priority?: string;
  /** User ids, `me`, `none`; several. */
  assignee?: string;
  /** Several: all must be there. */
  tag?: string;
  /** Day or time, inclusive. A day means its beginning in UTC. */
  createdFrom?: string;
  /** Day or time, exclusive. */
  createdTo?: string;
  updatedFrom?: string;
  updatedTo?: string;
  /** `overdue`: open and due before today. `set`, `none`. */
  due?: 'overdue' | 'set' | 'none';
  /** Items made by this import. */
  import?: string;
}
/**
 * A leading `-` means descending. Default: `-relevance` with `q`, otherwise `-updated`.
 * `rank` is the order inside a board column and is meant for one project and one state.
 */
export type ItemSort =
  | '-relevance'
  | '-updated'
  | 'updated'
  | '-created'
  | 'created'
  | 'priority'
  | '-priority'
  | 'due'
  | 'title'
  | 'key'
  | '-key'
  | 'rank';

export interface ItemList {
  items: ItemSummary[];
  nextCursor: string | null;
  total: Total;
}

/** `POST /api/items` → 201 {@link Item}. Goes to the top of its column. */
export interface CreateItem {
  /** Id or key. */
  project: string;
  /** 1–300 characters, one line. */
  title: string;
  /** Default `task`. */
  type?: ItemType;
  /** ≤ 100,000 characters. */
  description?: Markdown;
  /** Default `todo`. */
  state?: ItemState;
  /** Default `normal`. */
  priority?: Priority;
  assigneeId?: UserId | null;
  tags?: string[];
  dueOn?: Day | null;
  requester?: Requester | null;
}

/**
 * `PATCH /api/items/:item` → {@link Item}; only what is given changes. 409 `DESK_ITEM_CHANGED` when `version` is old.
 * `GET /api/items/:item` → {@link Item}. `DELETE /api/items/:item` (admins) → 204, with its comments, attachments and history.
 */
export interface UpdateItem {
  version: number;
  title?: string;
  type?: ItemType;
  description?: Markdown;
  /** Goes to the top of the new column. */
  state?: ItemState;
  priority?: Priority;
  assigneeId?: UserId | null;
  tags?: string[];
  dueOn?: Day | null;
  requester?: Requester | null;
}

/**
 * `POST /api/items/bulk` → {@link BulkResult}: 1–500 items of any projects in one transaction, without version check.
 * All or nothing, but for ids that are not there (any more): these are listed in `missing`.
 */
export interface BulkUpdate {
  itemIds: string[];
  set: {
    state?: ItemState;
    priority?: Priority;
    assigneeId?: UserId | null;
    addTags?: string[];
    removeTags?: string[];
  };
}
export interface BulkResult {
  /** New version of each item that changed. */
  changed: { id: string; version: number }[];
  /** Items that were like that already. */
  unchanged: number;
  missing: string[];
}

// ------------------------------------------------------------------------------------------------------------------ board

/** `GET /api/projects/:project/board` (filters of {@link ItemFilter} without `project` and `state`; `limit` cards per column, 1–100, default 30) */
export interface Board {
  project: Project;
  /** Always all six, in order. */
  columns: BoardColumn[];
}
export interface BoardColumn {
  state: ItemState;
  /** All items of the column under the filter, exact. */
  total: number;
  /** In board order. */
  items: ItemSummary[];
  /** More cards: `GET /api/items?project=…&state=…&sort=rank&cursor=…` with the same filters. */
  nextCursor: string | null;
}

/**
 * `POST /api/items/:item/move` → {@link Item}: into `state`, directly above `beforeId` or directly below `afterId`.
 * Give one of the two; with neither it goes to the top; with both, `afterId` wins when they are no longer neighbours.
 * A neighbour that has left the column meanwhile is 409 `DESK_MOVE_TARGET_GONE`: fetch the column again.
 */
export interface MoveItem {
  state: ItemState;
  /** The card that shall come after the moved one. */
  beforeId?: string | null;
  /** The card that shall come before the moved one. */
  afterId?: string | null;
  /** Optional: refuse with 409 `DESK_ITEM_CHANGED` when old. Leave it out for drag and drop. */
  version?: number;
}

// -------------------------------------------------------------------------------------------- comments, attachments, history

/** `GET /api/items/:item/comments?limit=&cursor=` → oldest first. */
export interface CommentList {
  comments: Comment[];
  nextCursor: string | null;
}
export interface Comment {
  id: string;
  itemId: string;
  body: Markdown;
  author: UserRef;
  createdAt: Timestamp;
  /** null: never edited. */
  editedAt: Timestamp | null;
  version: number;
  attachments: Attachment[];
  /** Whether the caller may edit and delete it: its author, or an admin. */
  canEdit: boolean;
}
/** `POST /api/items/:item/comments` → 201 {@link Comment}. Body 1–50,000 characters. */
export interface CreateComment {
  body: Markdown;
}
/** `PATCH /api/comments/:comment` → {@link Comment}. 409 `DESK_COMMENT_CHANGED`. `DELETE /api/comments/:comment` → 204. */
export interface UpdateComment {
  version: number;
  body: Markdown;
}

/**
 * `GET /api/items/:item/attachments` → {@link AttachmentList} (of the item and of its comments, newest first, at most 500).
 * `POST /api/items/:item/attachments?comment=cmt_…` (multipart, field `file`, ≤ 50 MiB) → 201 {@link Attachment}.
 * `GET /api/attachments/:attachment/content` downloads; `?inline=true` shows PNG, JPEG, GIF and WebP in the browser (anything else still downloads).
 * `DELETE /api/attachments/:attachment` → 204 (who uploaded it, or an admin).
 */
export interface AttachmentList {
  attachments: Attachment[];
}
export interface Attachment {
  id: string;
  itemId: string;
  /** Set when it belongs to a comment. */
  commentId: string | null;
  /** As uploaded, without path; "unnamed" when there was none. Several may have the same name. */
  name: string;
  mediaType: string;
  sizeBytes: number;
  createdAt: Timestamp;
  createdBy: UserRef;
  canDelete: boolean;
  /** Path to download. */
  url: string;
}

/** `GET /api/items/:item/history?limit=&cursor=` → newest first. */
export interface HistoryList {
  entries: HistoryEntry[];
  nextCursor: string | null;
}
export interface HistoryEntry {
  id: string;
  at: Timestamp;
  by: UserRef;
  /** `created` has no changes; `imported` is `created` by an import. */
  action: 'created' | 'imported' | 'changed' | 'comment_deleted' | 'attachment_added' | 'attachment_deleted';
  /** Everything that changed in one act. */
  changes: HistoryChange[];
}
/** Old and new value as they were: text for most; user refs for `assignee`; lists of names for `tags`; file name for `attachment`. */
export type HistoryChange =
  | {
      field: 'title' | 'type' | 'description' | 'state' | 'priority' | 'dueOn' | 'attachment';
      from: string | null;
      to: string | null;
    }
  | { field: 'assignee'; from: UserRef | null; to: UserRef | null }
  | { field: 'tags'; from: string[]; to: string[] }
  | { field: 'requester'; from: Requester | null; to: Requester | null };

// ----------------------------------------------------------------------------------------------------------------- export

/**
 * `GET /api/exports/items.csv` + {@link ItemFilter} + `sort` → `text/csv; charset=utf-8` with BOM, CRLF, header row, at most 100,000 items.
 * Cells that a spreadsheet would run as a formula begin with an apostrophe.
 */
export type ItemExport = string;

// ------------------------------------------------------------------------------------------------------------- CSV import

/**
 * `uploaded` (mapping wanted) → `ready` (mapping accepted) → `running` → `done` → `undone`.
 * Besides: `cancelled`; `failed` (`error` says why, nothing was made); `interrupted` (the server stopped meanwhile, nothing was made).
 * `failed` and `interrupted` can be mapped and started again; `done`, `undone` and `cancelled` are final but for undo.
 */
export type ImportState = 'uploaded' | 'ready' | 'running' | 'interrupted' | 'failed' | 'cancelled' | 'done' | 'undone';

/** All import routes are for admins. `GET /api/imports` → newest first, at most 100. */
export interface ImportList {
  imports: Import[];
}

/**
 * `POST /api/imports` (multipart, field `file`, ≤ 200 MiB) → 201 {@link Import} with columns, sample and guessed mapping.
 * Refused with 422 `DESK_IMPORT_FILE` when it is not a UTF-8 CSV file with a header row (the text says what and at which line) or has more than 50,000 rows.
 * `GET /api/imports/:import` → {@link Import}; safe to poll every second while `running`.
 */
export interface Import {
  id: string;
  state: ImportState;
  file: { name: string; sizeBytes: number };
  /** What was found out about the file. */
  delimiter: ',' | ';' | '\t' | '|';
  /** Data rows, without the header. */
  rowCount: number;
  columns: ImportColumn[];
  /** First rows as they are, at most 5, cells cut at 300 characters. */
  sample: string[][];
  /** As guessed at upload, or as put last. */
  mapping: ImportMapping;
  progress: ImportProgress;
  result: ImportResult | null;
  undo: ImportUndo | null;
  /** Why it failed: a `DESK_` code, or `DESK_IMPORT_FAILED` for a fault on our side. */
  error: { code: string; message: string } | null;
  createdAt: Timestamp;
  createdBy: UserRef;
  startedAt: Timestamp | null;
  finishedAt: Timestamp | null;
}

export interface ImportColumn {
  /** Position from 0; columns are known by it, because headers may repeat or be empty. */
  index: number;
  header: string;
  /** Values in use with their counts, most used first, when there are at most 30 different ones; otherwise empty. */
  values: { value: string; count: number }[];
  /** Rows with an empty cell. */
  empty: number;
}

/**
 * Target of a column. `tags` (comma or semicolon between several), `description` and `fact` may be given to many columns, others to one.
 * `fact`: added below the description as "Header: value". `reference`: the number in the old system. `assignee`: e-mail or name of a user; unknown
 * people stay unassigned and are named as a fact. `ignore`: left out.
 */
export type ImportField =
  | 'ignore'
  | 'title'
  | 'description'
  | 'type'
  | 'state'
  | 'priority'
  | 'assignee'
  | 'tags'
  | 'requesterName'
  | 'requesterEmail'
  | 'reference'
  | 'dueOn'
  | 'createdAt'
  | 'fact';

/** `PUT /api/imports/:import/mapping` → {@link ImportPreview}. 422 `DESK_IMPORT_MAPPING` with `fields` when it makes no sense. */
export interface ImportMapping {
  /** One entry for every column, in order. `title` is needed once. */
  fields: ImportField[];
  /** Cell text (compared without case and outer blanks) → value. A filled cell that is neither here nor a value itself refuses the row. */
  values: {
    type: { from: string; to: ItemType }[];
    state: { from: string; to: ItemState }[];
    priority: { from: string; to: Priority }[];
  };
  /** For empty cells and unmapped fields. */
  defaults: { type: ItemType; state: ItemState; priority: Priority };
  /** Where the items go. `existing` takes an id or key. In a guess `new` with a free key. */
  project: { kind: 'existing'; project: string } | { kind: 'new'; key: string; name: string };
  dateFormat: ImportDateFormat;
}
/** `iso` 2023-06-01 [12:15[:00]][Z] · `mdy` 6/1/23 or 06/01/2023 · `dmy` 1.6.2023 or 01/06/23 · `ymd` 2023/6/1; a time may follow. Times are UTC. */
export type ImportDateFormat = 'iso' | 'mdy' | 'dmy' | 'ymd';

/** Result of trying the mapping on the whole file, without making anything. */
export interface ImportPreview {
  import: Import;
  /** The first items as they would be, at most 5. */
  items: {
    row: number;
    title: string;
    description: Markdown;
    type: ItemType;
    state: ItemState;
    priority: Priority;
    tags: Tag[];
    requester: Requester | null;
    assignee: UserRef | null;
    reference: string | null;
    dueOn: Day | null;
    createdAt: Timestamp | null;
  }[];
  accepted: number;
  refused: number;
  /** The first refused rows, at most 20. */
  refusedRows: RefusedRow[];
}

export interface RefusedRow {
  /** Data row from 1. */
  row: number;
  /** Line of the file where the row begins, from 1 (the header is line 1). */
  line: number;
  reason: string;
}

export interface ImportProgress {
  /** `reading`: checking rows. `creating`: making items (all appear at once at the end). */
  phase: 'waiting' | 'reading' | 'creating' | 'finished';
  /** Rows done in this phase. */
  done: number;
  /** Rows to do in this phase. */
  total: number;
  refused: number;
}

export interface ImportResult {
  created: number;
  refused: number;
  projectId: string;
  projectKey: string;
  /** First and last key; null when nothing was made. */
  firstKey: string | null;
  lastKey: string | null;
  durationMs: number;
}

/**
 * `POST /api/imports/:import/start` → 202 {@link Import} (`running`). 409 `DESK_IMPORT_STATE` unless ready, failed or interrupted.
 * `POST /api/imports/:import/cancel` → {@link Import} (`cancelled`): nothing is made; also gives up one that was not started.
 * `POST /api/imports/:import/undo` → {@link Import} (`undone`), only when `done`: deletes what it made unless somebody worked on it since.
 * `GET /api/imports/:import/refused?limit=&cursor=` → {@link RefusedList}; `GET /api/imports/:import/refused.csv` → all of them as CSV.
 */
export interface ImportUndo {
  deleted: number;
  kept: number;
  /** Why they were kept; an item counts once. */
  reasons: { reason: 'changed' | 'commented' | 'attached'; count: number }[];
  /** The project the import had made is deleted too when it is empty. */
  projectDeleted: boolean;
  at: Timestamp;
  by: UserRef;
}
export interface RefusedList {
  rows: RefusedRow[];
  nextCursor: string | null;
  total: number;
}

// ----------------------------------------------------------------------------------------------------------- live events

/**
 * `GET /api/events` (server-sent events; `event:` is the type, `data:` the JSON of `data`). Ids, versions and counts only: fetch what you show.
 * Delivered at most once: after a reconnect fetch again. Your own changes come too; compare `version` with what you have.
 */
export type LiveEvent =
  | { type: 'item.changed'; data: ItemChangedEvent }
  | { type: 'items.changed'; data: ItemsChangedEvent }
  | { type: 'item.deleted'; data: { itemId: string; projectId: string } }
  | { type: 'comment.changed'; data: { commentId: string; itemId: string; change: 'created' | 'updated' | 'deleted' } }
  | { type: 'attachment.changed'; data: { attachmentId: string; itemId: string; change: 'created' | 'deleted' } }
  | { type: 'project.changed'; data: { projectId: string; version: number; change: 'created' | 'updated' | 'deleted' } }
  | { type: 'import.progress'; data: { importId: string; state: ImportState; progress: ImportProgress } };

export interface ItemChangedEvent {
  itemId: string;
  projectId: string;
  version: number;
  /** `moved`: only its place in the column; the version is the same as before. */
  change: 'created' | 'updated' | 'moved';
}
/** Many at once (more than 50 by a bulk update, or an import or its undo): fetch lists and boards of these projects again. */
export interface ItemsChangedEvent {
  projectIds: string[];
  count: number;
}

// ---------------------------------------------------------------------------------------------------------------- errors

/** `code` of problem documents that Desk itself makes; the platform's begin with `FH_`. */
export type DeskErrorCode =
  /** 400: a filter, sort, cursor or id that cannot be read; `fields` names it. */
  | 'DESK_QUERY_INVALID'
  /** 400: a field of the body; `fields` names it. */
  | 'DESK_INPUT_INVALID'
  /** 403: your role or authorship does not allow it. */
  | 'DESK_FORBIDDEN'
  /** 404 */
  | 'DESK_PROJECT_NOT_FOUND'
  | 'DESK_ITEM_NOT_FOUND'
  | 'DESK_COMMENT_NOT_FOUND'
  | 'DESK_ATTACHMENT_NOT_FOUND'
  | 'DESK_IMPORT_NOT_FOUND'
  /** 409 */
  | 'DESK_PROJECT_KEY_TAKEN'
  | 'DESK_PROJECT_CHANGED'
  | 'DESK_PROJECT_ARCHIVED'
  | 'DESK_ITEM_CHANGED'
  | 'DESK_COMMENT_CHANGED'
  | 'DESK_MOVE_TARGET_GONE'
  | 'DESK_IMPORT_STATE'
  | 'DESK_LIMIT_REACHED'
  /** 422: the assignee is no active user of this tenant. */
  | 'DESK_ASSIGNEE_UNKNOWN'
  | 'DESK_IMPORT_FILE'
  | 'DESK_IMPORT_MAPPING';
