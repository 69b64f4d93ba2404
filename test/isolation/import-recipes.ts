/** How each route of imports of the app is called. */
import type { Recipe } from './recipes.ts';
import type { Side } from './side.ts';
import { uploadImport } from './world.ts';

export const imports: Record<string, Recipe> = {
  'desk.import.list': { for: 'admin', call: () => ({}) },
  'desk.import.upload': {
    for: 'admin',
    call: (_, side) => ({
      upload: { name: `${side.newMarker('Sheet')}.csv`, content: 'Title\nx\n', mediaType: 'text/csv' },
    }),
    status: 201,
  },
  'desk.import.get': ofImport({ names: ['doneImport'] }),
  'desk.import.map': {
    for: 'admin',
    call: ({ openImport, project }) => ({
      params: { import: openImport },
      body: {
        fields: ['title', 'description'],
        values: { type: [], state: [], priority: [] },
        defaults: { type: 'task', state: 'todo', priority: 'normal' },
        project: { kind: 'existing', project },
        dateFormat: 'iso',
      },
    }),
    names: ['openImport'],
  },
  'desk.import.start': {
    for: 'admin',
    call: ({ openImport }) => ({ params: { import: openImport } }),
    names: ['openImport'],
    fresh: freshImport,
    status: 202,
  },
  'desk.import.cancel': {
    for: 'admin',
    call: ({ openImport }) => ({ params: { import: openImport } }),
    names: ['openImport'],
    fresh: freshImport,
  },
  'desk.import.undo': ofImport({ names: ['doneImport'] }),
  'desk.import.list_refused': ofImport({ names: ['doneImport'] }),
  'desk.import.export_refused': ofImport({ names: ['doneImport'] }),
};

function ofImport(more: Partial<Recipe>): Recipe {
  return { for: 'admin', call: ({ doneImport }) => ({ params: { import: doneImport } }), ...more };
}

async function freshImport(side: Side) {
  return { objects: { openImport: await uploadImport(side, `Title\n${side.newMarker('Line')}\n`) } };
}
