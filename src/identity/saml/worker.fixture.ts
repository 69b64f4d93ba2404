/** A worker that misbehaves as the message says, for tests of what then happens. */
import { parentPort } from 'node:worker_threads';
import { refusalOf } from './refused.ts';

const port = parentPort!;
const kept: unknown[] = [];
const usedMs = () => process.threadCpuUsage().user / 1_000;

port.on('message', ({ samlResponse }: { samlResponse: string }) => {
  if (samlResponse === 'spin') for (;;) kept.length = 0;
  if (samlResponse === 'eat') for (;;) kept.push(new Array(100_000).fill(kept.length));
  if (samlResponse === 'throw') throw new Error('secret of the document');
  if (samlResponse === 'exit') process.exit(1);
  if (samlResponse === 'wait') return;
  port.postMessage({ outcome: refusalOf('not_saml'), usedMs: usedMs() });
});
port.postMessage({ usedMs: usedMs() });
