/** Addresses of Desk. Every view can be shared: what it shows stands in its address. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { BoardPage } from './board/BoardPage.tsx';
import { parseItemSearch, parseQueryString, toQueryString } from './data/search.ts';
import { HomePage } from './home/HomePage.tsx';
import { ItemPage } from './item/ItemPage.tsx';
import { ListPage } from './list/ListPage.tsx';
import { Layout } from './shell/Layout.tsx';
import { NotFound, PageError } from './shell/PageError.tsx';

const rootRoute = createRootRoute({ component: Layout, notFoundComponent: NotFound, errorComponent: PageError });

const homeRoute = createRoute({ getParentRoute: () => rootRoute, path: '/', component: HomePage });

const itemsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/items',
  validateSearch: parseItemSearch,
  component: function Items() {
    return <ListPage search={itemsRoute.useSearch()} />;
  },
});

const projectRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/p/$key',
  beforeLoad: ({ params }) => {
    throw redirect({ to: '/p/$key/board', params, replace: true });
  },
});

const boardRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/p/$key/board',
  validateSearch: parseItemSearch,
  component: function ProjectBoard() {
    return <BoardPage projectKey={boardRoute.useParams().key.toUpperCase()} search={boardRoute.useSearch()} />;
  },
});

const listRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/p/$key/list',
  validateSearch: parseItemSearch,
  component: function ProjectList() {
    return <ListPage projectKey={listRoute.useParams().key.toUpperCase()} search={listRoute.useSearch()} />;
  },
});

const itemRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/i/$key',
  component: function OneItem() {
    return <ItemPage itemKey={itemRoute.useParams().key.toUpperCase()} />;
  },
});

// Rarely used, and large: loaded when somebody goes there.
const importsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/import',
  component: lazyRouteComponent(() => import('./imports/ImportsPage.tsx'), 'ImportsPage'),
});

const importRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/import/$importId',
  component: lazyRouteComponent(() => import('./imports/ImportPage.tsx'), 'ImportPage'),
});

const projectsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/projects',
  component: lazyRouteComponent(() => import('./projects/ProjectsPage.tsx'), 'ProjectsPage'),
});

const projectSettingsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/p/$key/settings',
  component: lazyRouteComponent(() => import('./projects/ProjectSettingsPage.tsx'), 'ProjectSettingsPage'),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    homeRoute,
    itemsRoute,
    projectRoute,
    boardRoute,
    listRoute,
    projectSettingsRoute,
    itemRoute,
    importsRoute,
    importRoute,
    projectsRoute,
  ]),
  defaultPreload: false,
  scrollRestoration: true,
  parseSearch: (text) => parseQueryString(text.replace(/^\?/, '')),
  stringifySearch: (search) => toQueryString(search as Record<string, string | undefined>),
});
