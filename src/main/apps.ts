import type { App } from '#sdk';
import { desk } from '../../apps/desk/index.ts';
import sample from '../../apps/sample/index.ts';

/** The apps that this installation hosts; the first is what a new tenant gets unless it names another. */
export const apps: readonly App[] = [desk, sample];
