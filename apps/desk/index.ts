/**
 * Desk: work items for teams — projects, a board, lists with search, comments, files, history, and CSV import.
 * Built on the public SDK alone. api.ts is what goes over the wire; migrations/ is the schema; each concern has its own file.
 */
import type { App } from '../sdk/index.ts';
import { attachmentRoutes } from './attachments.ts';
import { boardRoutes } from './board.ts';
import { bulkRoutes } from './bulk.ts';
import { commentRoutes } from './comments.ts';
import { fillDemo } from './demo/index.ts';
import { exportRoutes } from './exports.ts';
import { historyRoutes } from './history.ts';
import { importRoutes } from './imports/index.ts';
import { itemRoutes } from './items.ts';
import { listRoutes } from './lists.ts';
import { peopleRoutes } from './people.ts';
import { projectRoutes } from './projects.ts';
import { summaryRoutes } from './summary.ts';

export const desk: App = {
  manifest: {
    name: 'desk',
    title: 'Desk',
    version: '0.1.0',
    description: 'Tickets, tasks and requests of a team: board, lists, search, comments, files and history.',
  },
  migrations: new URL('migrations/', import.meta.url),
  web: new URL('../../dist/desk/', import.meta.url),
  routes: [
    ...peopleRoutes,
    ...summaryRoutes,
    ...projectRoutes,
    ...boardRoutes,
    ...bulkRoutes,
    ...listRoutes,
    ...itemRoutes,
    ...commentRoutes,
    ...attachmentRoutes,
    ...historyRoutes,
    ...exportRoutes,
    ...importRoutes,
  ],
  demo: fillDemo,
};
