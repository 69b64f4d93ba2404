import { defineErrors } from '#src/kernel/index.ts';

export const cliErrors = defineErrors({
  FH_NOT_RUNNING: {
    status: 503,
    title: 'Freehold is not running',
    hint: 'Start it with: ./freehold up',
  },
  FH_SEVERAL_RUNNING: {
    status: 409,
    title: 'Several installations run on this machine',
    hint: 'Say which one with --data DIR.',
  },
  FH_COMMAND_REFUSED: {
    status: 403,
    title: 'You may not give commands to this installation',
    hint: 'Run the command as root, or as the user who started Freehold.',
  },
  FH_COMMAND_INTERRUPTED: {
    status: 503,
    title: 'The connection to Freehold was lost',
    hint: 'What was begun goes on by itself. See how far it is: ./freehold operation list',
  },
  FH_OPERATION_FAILED: { status: 409, title: 'The operation failed' },
  FH_APP_CHECK_FAILED: {
    status: 422,
    title: 'This folder cannot be added',
    hint: 'Mend what is named, then see that nothing is left with: ./freehold app check FOLDER',
  },
  FH_APP_BUILD_FAILED: { status: 422, title: 'The version could not be built' },
  FH_CONFIRMATION_WRONG: {
    status: 400,
    title: 'What was typed is not the name of the tenant',
    hint: 'Nothing was changed.',
  },
  FH_OUTPUT_FILE: { status: 400, title: 'The file cannot be written' },
  FH_INPUT_FILE: { status: 400, title: 'The file cannot be read' },
  FH_DOWNLOAD_DAMAGED: {
    status: 502,
    title: 'The archive did not arrive whole',
    hint: 'Run the command again.',
  },
  FH_PLUGIN_RUN_FAILED: { status: 500, title: 'The plugin failed' },
});

/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
