import type { Clock, Log } from '#src/kernel/index.ts';
import type { Outcome, Task } from './judge.ts';
import { type JudgingOptions, startJudging } from './judging.ts';
import { createAuthnRequest, createLogoutRequest, createLogoutResponse } from './outgoing.ts';
import { refusalOf } from './refused.ts';
import type { Assertion, IdpMetadata, LogoutMessage, LogoutRequest, LogoutResponse, SamlEngine } from './types.ts';
import { messageLimits, metadataLimits } from './xml.ts';

export interface SamlEngineDeps extends JudgingOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts nothing: the first message starts a worker. */
export function createSamlEngine(deps: SamlEngineDeps): SamlEngine {
  const { clock } = deps;
  const judging = startJudging(deps);
  // Before it is copied into the worker: nobody makes us copy megabytes.
  const judge = (task: Task, from?: string): Promise<Outcome> =>
    isTooLong(task) ? Promise.resolve(refusalOf('too_large')) : judging.judge(task, from);
  const nowMs = () => clock.now();

  return {
    async verifyResponse({ samlResponse, expected, from }) {
      const outcome = await judge({ kind: 'response', samlResponse, expected, nowMs: nowMs() }, from);
      return outcome.ok ? { ok: true, assertion: outcome.value as Assertion } : outcome;
    },
    async verifyLogoutRequest({ received, expected, from }) {
      const outcome = await judge({ kind: 'logoutRequest', received, expected, nowMs: nowMs() }, from);
      return outcome.ok ? { ok: true, request: outcome.value as LogoutRequest } : outcome;
    },
    async verifyLogoutResponse({ received, expected, from }) {
      const outcome = await judge({ kind: 'logoutResponse', received, expected, nowMs: nowMs() }, from);
      return outcome.ok ? { ok: true, response: outcome.value as LogoutResponse } : outcome;
    },
    async parseIdpMetadata(xml, expected = {}, from = undefined) {
      const outcome = await judge({ kind: 'metadata', xml, expected, nowMs: nowMs() }, from);
      return outcome.ok ? { ok: true, metadata: outcome.value as IdpMetadata } : outcome;
    },
    createAuthnRequest: (input) => createAuthnRequest(clock, input),
    createLogoutRequest: (input) => createLogoutRequest(clock, input),
    createLogoutResponse: (input) => createLogoutResponse(clock, input),
    stop: () => judging.stop(),
  };
}

/** Characters that no message within the limits has: base64 with line breaks is 1.4 times as long as what it holds. */
function isTooLong(task: Task): boolean {
  if (task.kind === 'metadata') return task.xml.length > metadataLimits.bytes;
  const field = task.kind === 'response' ? task.samlResponse : textOf(task.received);
  return field.length > messageLimits.bytes * 1.4 + 4;
}

const textOf = (received: LogoutMessage) => (received.binding === 'post' ? received.message : received.rawQuery);
