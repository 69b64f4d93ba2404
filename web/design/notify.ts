import { notifications } from '@mantine/notifications';
import { toProblem } from './api.ts';

/** Says that something worked, where the page itself does not show it. */
export function notifyDone(message: string): void {
  notifications.show({ message, color: 'green', autoClose: 4000 });
}

/** A refusal away from any form. Stays until it is closed. */
export function notifyProblem(error: unknown): void {
  const problem = toProblem(error);
  notifications.show({
    title: problem.title,
    message: [problem.detail, problem.hint].filter(Boolean).join(' '),
    color: 'red',
    autoClose: false,
  });
}
