/** Live events: what happens in one tenant is never told to a listener of the other, whichever workers the two are at. */
import { waitFor } from '#src/kernel/index.ts';
import { cookiesOf, type Person, type Side } from '../side.ts';
import type { Listening } from '../wire.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeEvents(world: World): Promise<void> {
  await probeTwoTenants(world);
  await probeEndedSession(world);
}

export function listen({ wire }: Pick<World, 'wire'>, side: Side, door: number, as: Person): Promise<Listening> {
  return wire.listen({
    port: side.doors[door]!,
    serverName: side.host,
    host: side.authority,
    path: '/api/events',
    headers: { cookie: cookiesOf(as) },
  });
}

async function probeTwoTenants(world: World): Promise<void> {
  const { report, a, b } = world;
  const listeners = new Map<Side, Listening[]>([
    [a, []],
    [b, []],
  ]);
  for (const side of [a, b])
    for (const door of side.doors.keys())
      listeners.get(side)!.push(await listen(world, side, door, side.people.member));
  try {
    for (const [side, streams] of listeners)
      for (const { status } of streams)
        report.check('its own people may listen', status === 200, `${side.label} ${status}`);
    for (const [side, stranger] of [
      [b, a],
      [a, b],
    ] as const) {
      await side.throughEveryDoor(async (door) => {
        const refused = await listen(world, side, door, stranger.people.owner);
        report.check("a stranger's cookies open no stream", refused.status === 401, String(refused.status));
        refused.close();
      });
    }
    // Three rounds, each worker publishing for each tenant; own ids only, so that every event says whose it is.
    for (let round = 1; round <= 3; round++) {
      for (const side of [a, b, a]) {
        await side.throughEveryDoor(async (door) => {
          const made = await side.must('POST', '/api/items', {
            door,
            body: { project: side.own.project, title: side.newMarker('Live') },
          });
          const itemId = side.mark(made.json.id);
          for (const stream of listeners.get(side)!) {
            const heard = await hears(stream, itemId);
            report.check(`${side.label} hears of itself through every worker`, heard, stream.text.slice(-200));
          }
        });
      }
    }
    for (const [side, streams] of listeners) {
      const other = side === a ? b : a;
      for (const { text } of streams) {
        const leaked = [...other.markers].find((marker) => text.includes(marker));
        report.check(`${side.label} hears nothing of ${other.label}`, leaked === undefined, leaked);
      }
    }
  } finally {
    for (const stream of [...listeners.values()].flat()) stream.close();
  }
}

async function hears(stream: Listening, text: string): Promise<boolean> {
  try {
    await waitFor('the event', () => stream.text.includes(text), { deadlineMs: 180_000, everyMs: 2 });
    return true;
  } catch {
    return false;
  }
}

/** A stream outlives the check at its beginning; who has been signed out meanwhile must not go on listening. */
async function probeEndedSession(world: World): Promise<void> {
  const { report, b } = world;
  const person = await b.signIn(b.people.member);
  const streams: Listening[] = [];
  for (const door of b.doors.keys()) streams.push(await listen(world, b, door, person));
  const signedOut = await b.send('DELETE', '/-/api/session', { as: person });
  report.check('signing out', signedOut.status === 204, describe(signedOut));
  const isOver = () => streams.every(({ ended }) => ended);
  // The check is made again at most a second after the last; every event asks for it.
  const ended = await waitFor(
    'the streams to end',
    async () => {
      await b.must('POST', '/api/items', { body: { project: b.own.project, title: b.newMarker('After') } });
      return isOver();
    },
    { deadlineMs: 10_000, everyMs: 250 },
  ).catch(() => false);
  report.check('a stream ends with its session', ended === true, `${streams.filter((one) => !one.ended).length} go on`);
  for (const stream of streams) stream.close();
}
