import { type RefusalCode, refusals } from './refusals.ts';
import type { Refusal } from './types.ts';

/** Ends the judging of one message. Inside the engine only; holds a code and nothing of the document. */
export class Refused extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode) {
    super(code);
    this.code = code;
  }
}

export function refuse(code: RefusalCode): never {
  throw new Refused(code);
}

export const refusalOf = (code: RefusalCode): Refusal => ({ ok: false, reason: code, sentence: refusals[code] });
