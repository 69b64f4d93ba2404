import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * The door-keeper: the first process in a sandbox. It starts the app as the app's user, then becomes a user without rights itself, and passes bytes between
 * the sandbox's own network and unix sockets: requests in, PostgreSQL and the app's provider out. It imports nothing of ours, because nothing else is in the sandbox.
 * Arguments: uid of the app, uid and gid of itself, and the group that may reach PostgreSQL's socket; or none of them, where a person started everything.
 */

/** What the keeper says first, as one line. */
interface Task {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** `serve`: pass requests to `port`. `run`: to its end; standard input and output are streams of the keeper. */
  readonly kind: 'serve' | 'run';
  readonly port: number;
  /** Where the app finds its provider. 0: it has none. */
  readonly issuerPort: number;
  /** Whether standard error comes with standard output; otherwise it is dropped. */
  readonly withErrors: boolean;
  /** Of the app's user: processes and threads, as a second fence where control groups are not to be had. 0: none. */
  readonly processes: number;
  /** To the database, at once. A connection takes a place at the server before it says who it is, and so before the server counts it. */
  readonly connections: number;
  /** Of one file. 0: no limit. */
  readonly fileBytes: number;
}

const [appUid, doorUid, doorGid, databaseGid] = process.argv.slice(2).map(Number);
const sockets = {
  link: '/freehold/link/keeper.sock',
  provider: '/freehold/link/provider.sock',
  http: '/freehold/http/http.sock',
};
/** Longer than a statement usually takes, shorter than drivers wait for a connection. */
const connectionWaitMs = 10_000;
const database = { port: 5432, folder: '/freehold/sockets', socket: '.s.PGSQL.5432' };

const control = connect(sockets.link, () => control.write('control\n'));
// Without the keeper nobody wants us.
control.on('error', () => process.exit(1)).on('close', () => process.exit(1));
createInterface({ input: control }).once('line', (line) => begin(JSON.parse(line) as Task));

async function begin(task: Task): Promise<void> {
  const output = await openStream('output');
  const input = task.kind === 'run' ? await openStream('input') : undefined;
  // The app may look for its database with its first breath. A build has none, and the machine's own network, where this port is somebody else's.
  if (existsSync(join(database.folder, 'pg')))
    await listen(
      database.port,
      () => connect({ path: findDatabase(), allowHalfOpen: true }),
      placesOf(task.connections, output),
    );
  if (task.issuerPort > 0)
    await listen(task.issuerPort, () => connect({ path: sockets.provider, allowHalfOpen: true }));
  if (task.kind === 'serve') await listen(sockets.http, () => connectToApp(task.port));
  const [app, ender] = startAs(appUid, task);
  becomeNobody();
  for (const stream of [app.stdout, app.stderr]) stream?.pipe(output, { end: false });
  if (input && app.stdin) input.pipe(app.stdin.on('error', () => input.destroy()));
  app.once('error', (error) => end({ event: 'ended', failure: error.message }));
  app.once('close', (code, signal) => output.end(() => end({ event: 'ended', code, signal })));
  // Whatever else comes from the keeper means the same: end, please.
  control.on('data', () => ender.stdin?.end('\n'));
  tell({ event: 'started' });
}

/** The app, and a process of the same user that ends all of that user's processes when it is told to: we may not any more. */
function startAs(uid: number | undefined, task: Task): [ChildProcess, ChildProcess] {
  const user = uid === undefined ? {} : { uid, gid: uid };
  const limits = [
    '--core=0',
    ...(task.processes > 0 ? [`--nproc=${task.processes}`] : []),
    ...(task.fileBytes > 0 ? [`--fsize=${task.fileBytes}`] : []),
  ];
  const app = spawn(
    '/usr/bin/prlimit',
    [...limits, '--', '/usr/bin/setpriv', '--inh-caps=-all', '--', ...task.command],
    {
      ...user,
      env: { ...task.env },
      cwd: task.folder,
      detached: true,
      stdio: [task.kind === 'run' ? 'pipe' : 'ignore', 'pipe', task.withErrors ? 'pipe' : 'ignore'],
    },
  );
  // All that it may signal; where there is one user only, that would be us as well.
  const ended = uid === undefined ? `-${app.pid ?? 0}` : '-1';
  const ender = spawn('/bin/sh', ['-c', `read -r _; trap '' TERM; kill -s TERM -- ${ended}`], {
    ...user,
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  ender.on('error', () => undefined);
  ender.stdin?.on('error', () => undefined);
  return [app, ender];
}

function becomeNobody(): void {
  if (doorUid === undefined || doorGid === undefined) return;
  process.setgroups!(databaseGid === undefined ? [] : [databaseGid]);
  process.setgid!(doorGid);
  process.setuid!(doorUid);
  if (process.getuid!() !== doorUid || process.geteuid!() !== doorUid || process.getgid!() !== doorGid) process.exit(1);
}

function openStream(name: string): Promise<Socket> {
  return new Promise((resolve) => {
    const stream = connect({ path: sockets.link, allowHalfOpen: true }, () => {
      stream.write(`${name}\n`);
      resolve(stream);
    });
    stream.on('error', () => process.exit(1));
  });
}

/** Every connection to `at` is one to what `open` opens; whichever end goes, the other goes with it. */
function listen(at: number | string, open: () => Socket, places?: Places): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    outer.on('error', () => outer.destroy());
    const enter = () => {
      const inner = open();
      outer.pipe(inner);
      inner.pipe(outer);
      outer.on('close', () => inner.destroy());
      inner.on('error', () => inner.destroy()).on('close', () => outer.destroy());
      return inner;
    };
    if (places) places.take(outer, enter);
    else enter();
  });
  if (places) server.maxConnections = places.most;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = () => resolve(server);
    // The folder says who may enter.
    if (typeof at === 'string') server.listen({ path: at, readableAll: true, writableAll: true }, done);
    else server.listen(at, '127.0.0.1', done);
  });
}

interface Places {
  /** Of those that have one and those that wait. */
  readonly most: number;
  /** Calls `enter` when there is a place; it is free again when what that has opened is closed. */
  take(outer: Socket, enter: () => Socket): void;
}

/** Pools are often larger than the limit; who comes late waits as in a pool's own queue, and is told in the server's words when it was for too long. */
function placesOf(connections: number, output: Socket): Places {
  const waiting = new Set<() => void>();
  let taken = 0;
  let isTold = false;
  const begin = (enter: () => Socket) => {
    taken++;
    enter().once('close', () => {
      taken--;
      const [next] = waiting;
      if (!next) return;
      waiting.delete(next);
      next();
    });
  };
  return {
    most: connections + 1_000,
    take(outer, enter) {
      if (taken < connections) return begin(enter);
      if (!isTold) {
        isTold = true;
        output.write(`freehold: all ${connections} connections (limits.connections) are in use; further ones wait\n`);
      }
      const next = () => {
        clearTimeout(timer);
        outer.off('close', leave);
        begin(enter);
      };
      const leave = () => {
        clearTimeout(timer);
        waiting.delete(next);
      };
      const timer = setTimeout(() => {
        waiting.delete(next);
        outer.end(tooManyConnections);
        outer.resume();
      }, connectionWaitMs);
      outer.once('close', leave);
      waiting.add(next);
    },
  };
}

/** ErrorResponse of PostgreSQL's protocol 3.0, as the server itself would say it. */
const tooManyConnections = (() => {
  const fields = ['SFATAL', 'VFATAL', 'C53300', 'Mall connections of this app (limits.connections) are in use', ''];
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const head = Buffer.alloc(5, 'E');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
})();

/** Some listen on `localhost`, which may mean either. */
function connectToApp(port: number): Socket {
  return connect({
    host: 'localhost',
    port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: true,
    lookup: (_name, _options, found) =>
      found(null, [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ]),
  });
}

/** What lies there may be a link to the server that is the primary now, as its name is outside; here its folder lies beside. */
function findDatabase(): string {
  const path = join(database.folder, 'pg', database.socket);
  try {
    return join(database.folder, basename(dirname(readlinkSync(path))), database.socket);
  } catch {
    return path;
  }
}

function tell(message: object): void {
  control.write(`${JSON.stringify(message)}\n`);
}

function end(message: object): void {
  control.write(`${JSON.stringify(message)}\n`, () => process.exit(0));
}
