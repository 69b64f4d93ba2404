import type { Command } from 'commander';
import { runCli } from '#src/cli/index.ts';
import type { Env } from './config.ts';
import { addFailoverCommand } from './failover.ts';
import { addRecoverCommand } from './recover-command.ts';
import { addRecoveryKitCommand, addRotateKeyCommand } from './recovery-kit.ts';
import { runRole } from './roles.ts';
import { addStaffCommands } from './staff-links.ts';
import { addStatusCommands } from './status.ts';
import type { UpOptions } from './up.ts';
import { addUserCommands } from './user-commands.ts';
import { readVersion } from './version.ts';

/** All commands: those that run Freehold are ours, the others speak with a running installation. @returns the exit code */
export async function runCommandLine(argv: readonly string[], env: Env): Promise<number> {
  const streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
  return runCli(argv, env, streams, {
    version: readVersion(),
    extend: (program, context) => {
      addUp(program, env);
      addStatusCommands(program, context);
      addFailoverCommand(program, context);
      addStaffCommands(program, context);
      addUserCommands(program, context);
      addRecoveryKitCommand(program, context);
      addRotateKeyCommand(program, context);
      addRecoverCommand(program, context);
      program
        .command('test')
        .description('run every test (see ./freehold test --help)')
        .action(() => {});
      program
        .command('run <role>')
        .description(
          'run one process alone: control, gateway, shipper or apps; settings come from the environment (docs/operations.md)',
        )
        .action((role: string) => runRole(role, env));
    },
  });
}

function addUp(program: Command, env: Env): void {
  program
    .command('up')
    .description('run the whole cloud on this machine, until Ctrl-C')
    .option('--demo', 'make two tenants with data to look at', false)
    .option(
      '--data <dir>',
      'data folder; default: FREEHOLD_DATA, or /var/lib/freehold as root, ~/.local/share/freehold otherwise',
    )
    .option('--port <port>', 'port of the gateway; default: 8443')
    .option('--console-port <port>', 'port of the console; default: 9443')
    .option('--json', 'one line of JSON on standard output when everything is ready', false)
    .action(async (options: UpOptions) => {
      const { up } = await import('./up.ts');
      return up(options, env);
    });
}
