/** What can happen to a running installation with a standby and two regions apart, chosen by a seed; it always ends with an installation that serves. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandResult, until } from '../../acceptance/harness.ts';
import { command, type Installation, type Json } from './operator.ts';
import { findProcesses, pidsOf } from './processes.ts';
import { controlIsBack } from './product.ts';
import type { Chance } from './random.ts';
import { type Regions, regionNames } from './regions.ts';

export interface FaultOptions {
  readonly at: Installation;
  readonly chance: Chance;
  readonly regions: Regions;
  /** A command of the command line. */
  run(...args: string[]): Promise<CommandResult>;
  /** The next `up`. */
  upAgain(): Promise<void>;
}

export interface Faults {
  /** @returns what happened, for a person who repeats it */
  happen(round: number): Promise<string>;
}

export function startFaults({ at, chance, regions, run, upAgain }: FaultOptions): Faults {
  type Member = 'main' | 'standby';
  const rolesFile = join(at.dataDir, 'pg/roles.json');
  const primary = (): Member =>
    // Written with the first standby.
    existsSync(rolesFile) ? JSON.parse(readFileSync(rolesFile, 'utf8')).primary : 'main';
  const standby = (): Member => (primary() === 'main' ? 'standby' : 'main');
  const postmasterOf = (member: Member): number =>
    Number.parseInt(readFileSync(join(at.dataDir, 'pg', member, 'postmaster.pid'), 'utf8'), 10);

  async function standbyFollows(): Promise<void> {
    let seen: Json;
    await until(
      'the standby to follow',
      async () => {
        const answer = await command(at, 'GET', '/api/health').catch(() => undefined);
        seen = answer?.json?.clusters?.[0].standby;
        return seen?.state === 'following' && seen.lagBytes < 1_000_000;
      },
      120_000,
    ).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}`));
  }

  async function failOver(planned: boolean): Promise<void> {
    await standbyFollows();
    if (!planned) process.kill(postmasterOf(primary()), 'SIGSTOP');
    const { code, stdout, stderr } = await run('failover', '--yes', '--json');
    assert.equal(code, 0, stderr);
    assert.deepEqual([JSON.parse(stdout).planned, JSON.parse(stdout).lostBytes], [planned, 0]);
  }

  const faults: Readonly<Record<string, () => Promise<void> | void>> = {
    primary: () => killNow([postmasterOf(primary())]),
    async standby() {
      await standbyFollows();
      killNow([postmasterOf(standby())]);
    },
    shipper: () =>
      killNow(findProcesses(at.dataDir).flatMap((one) => (/run shipper$/.test(one.command) ? one.pid : []))),
    control: () => killNow(pidsOf(at.dataDir, 'control')),
    async everything() {
      killNow(findProcesses(at.dataDir).map(({ pid }) => pid));
      await upAgain();
    },
    failover: () => failOver(true),
    'failover of a primary that hangs': () => failOver(false),
    'nothing else': () => delay(chance.below(2_000)),
  };
  let turns: string[] = [];

  return {
    async happen(round) {
      // Each once before any comes twice.
      if (turns.length === 0) turns = chance.shuffle(Object.keys(faults));
      const name = turns.pop()!;
      const region = chance.pick(regionNames);
      const how = chance.pick(['deny', 'unmount'] as const);
      const isAway = name === 'nothing else' || chance.below(3) === 0;
      const isBackingUp = round % 10 === 0 || chance.below(4) === 0;
      const giveBack = isAway ? regions[how](region) : () => {};
      try {
        if (isBackingUp) await command(at, 'POST', '/api/backups', {});
        await delay(chance.below(isAway || isBackingUp ? 2_000 : 300));
        await faults[name]!();
        await controlIsBack(at, 120_000);
        await delay(chance.below(isAway ? 1_000 : 100));
      } finally {
        giveBack();
      }
      return [name, isAway && `${region} away (${how})`, isBackingUp && 'base backup'].filter(Boolean).join(', ');
    },
  };
}

function killNow(pids: readonly number[]): void {
  assert.ok(pids.length > 0, 'nobody to kill');
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended with another that was killed a moment before.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
