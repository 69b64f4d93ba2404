import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { App, Role, RouteDefinition } from '#sdk';
import { hostingErrors } from './errors.ts';
import { compileSchemas } from './schemas.ts';

/** Paths the platform answers in every app. */
const reservedPaths = ['/api/events', '/api/openapi.json'];
const roles: readonly Role[] = ['owner', 'admin', 'member'];
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Apps that were found sound. Asked again, their folders need not be readable: a process may have given up the right to by then. */
const sound = new WeakSet<object>();

/** An app as its module exports it → a sound app; FH_APP_INVALID names every wrong field, for example `routes[3].path`. */
export function parseApp(value: unknown): App {
  const wrong: Record<string, string> = {};
  const app = value as App;
  if (typeof app !== 'object' || app === null) {
    throw hostingErrors.FH_APP_INVALID({ detail: 'the module must export an App as its default' });
  }
  if (sound.has(app)) return app;
  const check = (field: string, isRight: boolean, problem: string) => {
    if (!isRight) wrong[field] ??= problem;
  };

  const manifest = (app.manifest ?? {}) as Partial<App['manifest']>;
  check(
    'manifest.name',
    isText(manifest.name, /^[a-z][a-z0-9-]{0,30}$/),
    'lower-case letters, digits and hyphens, at most 31',
  );
  check('manifest.title', isText(manifest.title, /^\S.{0,99}$/), 'a title of at most 100 characters');
  check('manifest.version', isText(manifest.version, /^\d+\.\d+\.\d+(-[0-9a-z.-]+)?$/), 'a version like 1.2.3');
  check('manifest.description', isText(manifest.description, /^\S.{0,499}$/), 'one line of at most 500 characters');

  const migrations = folderProblem(app.migrations);
  check('migrations', migrations === undefined, migrations ?? '');
  if (!migrations) {
    for (const file of readdirSync(fileURLToPath(app.migrations)).filter((name) => name.endsWith('.sql')))
      check(`migrations/${file}`, /^\d{4}_[a-z0-9_]+\.sql$/.test(file), 'must be named NNNN_title.sql');
  }
  check('web', app.web instanceof URL && app.web.protocol === 'file:', 'must be a file: URL of a folder');
  check('demo', app.demo === undefined || typeof app.demo === 'function', 'must be a function');
  check('routes', Array.isArray(app.routes), 'must be a list of routes');

  const taken = new Map<string, string>();
  for (const [index, route] of (Array.isArray(app.routes) ? app.routes : []).entries())
    checkRoute(`routes[${index}]`, route as Partial<RouteDefinition>, taken, check);

  const fields = Object.entries(wrong);
  if (fields.length === 0) {
    sound.add(app);
    return app;
  }
  throw hostingErrors.FH_APP_INVALID({
    detail: fields.map(([field, problem]) => `${field}: ${problem}`).join('; '),
    fields: wrong,
  });
}

function checkRoute(
  at: string,
  route: Partial<RouteDefinition> | null,
  taken: Map<string, string>,
  check: (field: string, isRight: boolean, problem: string) => void,
): void {
  if (typeof route !== 'object' || route === null) {
    check(at, false, 'must be a route');
    return;
  }
  check(`${at}.method`, methods.includes(route.method as string), `must be one of ${methods.join(', ')}`);
  check(`${at}.handler`, typeof route.handler === 'function', 'must be a function');
  check(`${at}.summary`, isText(route.summary, /^\S.{0,199}$/), 'one line of at most 200 characters');
  check(
    `${at}.operation`,
    isText(route.operation, /^[a-z][a-zA-Z0-9_-]*(\.[a-z][a-zA-Z0-9_-]*)+$/),
    'names joined by dots, for example desk.item.get',
  );
  claim(`operation ${route.operation}`, `${at}.operation`, at, taken, check);
  check(
    `${at}.path`,
    isText(route.path, /^\/api(?:\/(?:[a-z0-9_.-]+|:[a-zA-Z][a-zA-Z0-9]*))+$/),
    pathProblem(route.path),
  );
  check(`${at}.path`, !reservedPaths.includes(route.path as string), 'is answered by the platform');
  claim(`${route.method} ${String(route.path).replace(/:[^/]+/g, ':')}`, `${at}.path`, at, taken, check);
  check(
    `${at}.roles`,
    route.roles === undefined || (Array.isArray(route.roles) && route.roles.every((role) => roles.includes(role))),
    `a list of ${roles.join(', ')}`,
  );
  const limits = { 'upload.maxBytes': route.upload?.maxBytes, bodyLimit: route.bodyLimit };
  for (const [field, bytes] of Object.entries(limits))
    check(
      `${at}.${field}`,
      bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0),
      'a positive number of bytes',
    );
  if (route.upload) {
    check(`${at}.upload`, Number.isSafeInteger(route.upload.maxBytes), 'needs maxBytes');
    check(`${at}.upload`, route.body === undefined, 'a route takes a file or a body, not both');
    check(`${at}.upload`, route.method === 'POST' || route.method === 'PUT', 'only with POST or PUT');
  }
  check(`${at}.body`, route.body === undefined || route.method !== 'GET', 'a GET has no body');
  for (const [field, problem] of Object.entries(compileSchemas(route))) check(`${at}.${field}`, false, problem);
}

/** Two routes may not claim one thing. */
function claim(
  thing: string,
  field: string,
  at: string,
  taken: Map<string, string>,
  check: (field: string, isRight: boolean, problem: string) => void,
): void {
  check(field, !taken.has(thing), `is taken by ${taken.get(thing)}`);
  if (!taken.has(thing)) taken.set(thing, at);
}

function pathProblem(path: unknown): string {
  if (typeof path === 'string' && path.startsWith('/-/')) return '/-/ belongs to the platform';
  return 'begins with /api/, then segments of a-z 0-9 _ . - or :parameter';
}

function isText(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function folderProblem(folder: unknown): string | undefined {
  if (!(folder instanceof URL) || folder.protocol !== 'file:') return 'must be a file: URL of a folder';
  return existsSync(fileURLToPath(folder)) ? undefined : `there is no folder ${fileURLToPath(folder)}`;
}
