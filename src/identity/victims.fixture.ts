/** For tests: calls of identity in processes of their own, each of which a failpoint kills (SIGKILL) in the middle of one call. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TenantId } from '#src/kernel/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';
import type { Identity } from './identity.ts';
import type { Provider } from './provider/index.ts';
import type { TwoTenants } from './two-tenants.fixture.ts';

export interface Order {
  readonly accesses: ReadonlyMap<TenantId, TenantAccess>;
  readonly failpoint: string;
  readonly method: keyof Acts;
  readonly args: readonly unknown[];
  /** Where requests of single sign-on go: the issuer of a provider of OpenID Connect, and its authority. */
  readonly provider?: { readonly issuer: string; readonly ca: string } | undefined;
}

/** What a process can be told to do. */
export type Acts = Identity & Provider;

type Method = {
  [Name in keyof Acts]: Acts[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Acts];

export class Victims {
  readonly #accesses: Order['accesses'];
  readonly #provider: Order['provider'];
  /** The next one starts while a test prepares: loading takes longer than dying. */
  #next: Victim | undefined;

  constructor({ accesses }: TwoTenants, provider?: Order['provider']) {
    this.#accesses = accesses;
    this.#provider = provider && { issuer: provider.issuer, ca: provider.ca };
    this.#next = start();
  }

  /** Does it in another process, which has to be killed at the failpoint. */
  async die<Name extends Method>(failpoint: string, method: Name, ...args: Parameters<Acts[Name]>): Promise<void> {
    const victim = this.#next ?? start();
    this.#next = start();
    await victim.ready;
    const told: string[] = [];
    victim.child.on('message', (text) => told.push(String(text)));
    const ended = once(victim.child, 'exit');
    const order: Order = { accesses: this.#accesses, provider: this.#provider, failpoint, method, args };
    victim.child.send(order);
    const [, signal] = await ended;
    assert.equal(signal, 'SIGKILL', `passed ${failpoint} alive: ${told.join(' ')}`);
  }

  async stop(): Promise<void> {
    const spare = this.#next;
    this.#next = undefined;
    if (!spare) return;
    const ended = once(spare.child, 'exit');
    spare.child.kill('SIGKILL');
    await ended;
  }
}

interface Victim {
  readonly child: ChildProcess;
  readonly ready: Promise<unknown>;
}

function start(): Victim {
  const file = new URL('./victim.fixture.ts', import.meta.url);
  // Nothing of what the runner of tests was started with.
  const child = fork(file, { serialization: 'advanced', execArgv: [] });
  return { child, ready: once(child, 'message') };
}
