/** A page imports nothing of the server, so it writes down again what it is answered. Here the compiler compares the two. */
import { test } from 'node:test';
import type {
  DumpView as AnsweredDump,
  DumpOverview as AnsweredOverview,
  DumpRunView as AnsweredRun,
} from '#src/console-api/index.ts';
import type { TenantBackups as Answered } from '#src/gateway/types.ts';
import type { TenantBackups as Shown } from '../web/account/api.ts';
import type {
  Dump as ShownDump,
  DumpOverview as ShownOverview,
  DumpRun as ShownRun,
} from '../web/console/dumps/api.ts';

type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;

test('what an owner sees of backups is what the gateway answers', () => {
  true satisfies Same<Answered, Shown>;
});

test('what staff see of dumps is what the console API answers', () => {
  true satisfies Same<AnsweredOverview, ShownOverview>;
  true satisfies Same<AnsweredDump, ShownDump>;
  true satisfies Same<AnsweredRun, ShownRun>;
});
