/** The thread that reads what strangers wrote. Holds nothing between two messages; ended from outside when one takes too long. */
import { parentPort } from 'node:worker_threads';
import { judge, type Task } from './judge.ts';
import type { WorkerMessage } from './judging.ts';

const port = parentPort!;
const say = (message: WorkerMessage) => port.postMessage(message);

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

port.on('message', (task: Task) => say({ outcome: judge(task), usedMs: usedMs() }));
say({ usedMs: usedMs() });
