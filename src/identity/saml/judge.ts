import { judgeLogoutRequest, judgeLogoutResponse } from './logout.ts';
import { readIdpMetadata } from './metadata.ts';
import { Refused, refusalOf } from './refused.ts';
import { judgeResponse } from './response.ts';
import type {
  Assertion,
  ExpectedLogout,
  ExpectedResponse,
  IdpMetadata,
  LogoutMessage,
  LogoutRequest,
  LogoutResponse,
  MetadataExpectations,
  Refusal,
} from './types.ts';

/** One message to judge, as it goes to a worker. `nowMs`: the time that counts, from the clock of the caller. */
export type Task = { readonly nowMs: number } & (
  | { readonly kind: 'response'; readonly samlResponse: string; readonly expected: ExpectedResponse }
  | { readonly kind: 'logoutRequest'; readonly received: LogoutMessage; readonly expected: ExpectedLogout }
  | {
      readonly kind: 'logoutResponse';
      readonly received: LogoutMessage;
      readonly expected: ExpectedLogout & { readonly requestIds: readonly string[] };
    }
  | { readonly kind: 'metadata'; readonly xml: string; readonly expected: MetadataExpectations }
);

export type Outcome =
  | { readonly ok: true; readonly value: Assertion | LogoutRequest | LogoutResponse | IdpMetadata }
  | Refusal;

/** Judges one message. What is thrown besides a refusal is a fault of ours: it is answered with `unavailable`, and its text goes nowhere. */
export function judge(task: Task): Outcome {
  try {
    return { ok: true, value: answerTo(task) };
  } catch (error) {
    return refusalOf(error instanceof Refused ? error.code : 'unavailable');
  }
}

function answerTo(task: Task) {
  switch (task.kind) {
    case 'response':
      return judgeResponse(task.samlResponse, task.expected, task.nowMs);
    case 'logoutRequest':
      return judgeLogoutRequest(task.received, task.expected, task.nowMs);
    case 'logoutResponse':
      return judgeLogoutResponse(task.received, task.expected, task.nowMs);
    case 'metadata':
      return readIdpMetadata(task.xml, task.expected, task.nowMs);
  }
}
