/** Notes: the smallest app that uses everything an app is given. docs/writing-an-app.md walks through this file. */
import { type App, type AppContext, AppError, type AppUser, type RouteDefinition } from '../sdk/index.ts';

interface NoteRow {
  note_id: string;
  text: string;
  file_id: string | null;
  author_id: string;
  created_at: Date;
}

const maxFileBytes = 5 * 1024 * 1024;
const noteId = { type: 'string', pattern: '^itm_[0-9a-z]{26}$' };
const params = { type: 'object', properties: { note: noteId }, required: ['note'], additionalProperties: false };
const ownFields = {
  id: noteId,
  text: { type: 'string' },
  hasFile: { type: 'boolean' },
  createdAt: { type: 'string', format: 'date-time' },
};
/** In a list, whose reader wants names. */
const note = {
  type: 'object',
  properties: { ...ownFields, author: { type: 'string' } },
  required: [...Object.keys(ownFields), 'author'],
};
/** By itself: one row and nothing else is read. */
const oneNote = {
  type: 'object',
  properties: { ...ownFields, authorId: { type: 'string' } },
  required: [...Object.keys(ownFields), 'authorId'],
};

const toNote = (row: NoteRow, users: readonly AppUser[]) => ({
  id: row.note_id,
  text: row.text,
  author: users.find((user) => user.id === row.author_id)?.name ?? 'somebody who left',
  hasFile: row.file_id !== null,
  createdAt: row.created_at,
});

const notFound = () => new AppError(404, 'SAMPLE_NOTE_NOT_FOUND', 'There is no such note');

async function addNote(context: AppContext, text: string): Promise<NoteRow> {
  const row: NoteRow = {
    note_id: context.newId('itm'),
    text,
    file_id: null,
    author_id: context.user.id,
    created_at: context.now(),
  };
  await context.db.transact((db) =>
    db.query('INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, $2, $3, $4)', [
      row.note_id,
      row.text,
      row.author_id,
      row.created_at,
    ]),
  );
  return row;
}

const routes: RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/notes',
    operation: 'sample.note.list',
    summary: 'The newest notes',
    query: {
      type: 'object',
      properties: { limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 } },
      additionalProperties: false,
    },
    response: { type: 'object', properties: { notes: { type: 'array', items: note } }, required: ['notes'] },
    async handler(context, { query }) {
      const users = await context.users.list();
      const rows = await context.db.read((db) =>
        db.query<NoteRow>(
          'SELECT note_id, text, file_id, author_id, created_at FROM notes ORDER BY created_at DESC LIMIT $1',
          [query.limit],
        ),
      );
      return { body: { notes: rows.map((row) => toNote(row, users)) } };
    },
  },
  {
    method: 'GET',
    path: '/api/notes/:note',
    operation: 'sample.note.get',
    summary: 'One note',
    params,
    response: oneNote,
    async handler(context, { params }) {
      const [row] = await context.db.read((db) =>
        db.query<NoteRow>('SELECT note_id, text, file_id, author_id, created_at FROM notes WHERE note_id = $1', [
          params.note,
        ]),
      );
      if (!row) throw notFound();
      const { note_id: id, text, file_id: fileId, author_id: authorId, created_at: createdAt } = row;
      return { body: { id, text, authorId, hasFile: fileId !== null, createdAt } };
    },
  },
  {
    method: 'POST',
    path: '/api/notes',
    operation: 'sample.note.create',
    summary: 'Writes a note',
    body: {
      type: 'object',
      properties: { text: { type: 'string', minLength: 1, maxLength: 2_000 } },
      required: ['text'],
      additionalProperties: false,
    },
    response: note,
    async handler(context, { body }) {
      const row = await addNote(context, (body as { text: string }).text);
      context.publish({ type: 'note.created', data: { id: row.note_id } });
      return { status: 201, body: toNote(row, [context.user]) };
    },
  },
  {
    method: 'DELETE',
    path: '/api/notes/:note',
    operation: 'sample.note.delete',
    summary: 'Deletes a note and its file',
    roles: ['owner', 'admin'],
    params,
    async handler(context, { params }) {
      const [row] = await context.db.transact((db) =>
        db.query<Pick<NoteRow, 'file_id'>>('DELETE FROM notes WHERE note_id = $1 RETURNING file_id', [params.note]),
      );
      if (!row) throw notFound();
      context.publish({ type: 'note.deleted', data: { id: params.note } });
      const { file_id: fileId } = row;
      if (fileId) context.background('sample.file.remove', (later) => later.files.remove(fileId));
      return {};
    },
  },
  {
    method: 'PUT',
    path: '/api/notes/:note/file',
    operation: 'sample.file.put',
    summary: 'Attaches a file to a note',
    params,
    upload: { maxBytes: maxFileBytes },
    async handler(context, { params, upload }) {
      const file = await context.files.put(upload!.content, upload!);
      const rows = await context.db.transact((db) =>
        db.query('UPDATE notes SET file_id = $2 WHERE note_id = $1 RETURNING note_id', [params.note, file.id]),
      );
      if (rows.length === 0) {
        await context.files.remove(file.id);
        throw notFound();
      }
      return { body: { name: file.name, sizeBytes: file.sizeBytes } };
    },
  },
  {
    method: 'GET',
    path: '/api/notes/:note/file',
    operation: 'sample.file.get',
    summary: 'The file of a note',
    params,
    async handler(context, { params }) {
      const [row] = await context.db.read((db) =>
        db.query<Pick<NoteRow, 'file_id'>>('SELECT file_id FROM notes WHERE note_id = $1', [params.note]),
      );
      const opened = row?.file_id ? await context.files.open(row.file_id) : undefined;
      if (!opened) throw notFound();
      return { ...opened, disposition: 'inline' };
    },
  },
];

const app: App = {
  manifest: { name: 'sample', title: 'Notes', version: '1.0.0', description: 'Notes that a team shares' },
  migrations: new URL('./migrations/', import.meta.url),
  web: new URL('./web/', import.meta.url),
  routes,
  async demo(context, variant) {
    for (const text of ['Water the plants', 'Order paper', `Welcome, guest ${variant}`]) await addNote(context, text);
  },
};

export default app;
