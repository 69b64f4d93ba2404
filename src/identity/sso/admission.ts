import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { signOnErrors } from './errors.ts';

/** Lets so many in per key and duration, at one worker. Throws FH_SIGN_ON_TOO_OFTEN. */
export function createAdmission(points: number, durationSeconds: number): (key: string) => Promise<void> {
  const limiter = new RateLimiterMemory({ points, duration: durationSeconds });
  return async (key) => {
    await limiter.consume(key).catch((refusal) => {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      throw signOnErrors.FH_SIGN_ON_TOO_OFTEN({
        retryAfterSeconds: Math.min(60, Math.ceil(refusal.msBeforeNext / 1000)),
      });
    });
  };
}

/** Of one network at one worker: an office that comes to work at nine is no attack. */
export const perMinute = 300;

/** Which organisation an address belongs to, asked of one network at one worker: two in a second, as people type. */
export const questionsPerMinute = 120;
