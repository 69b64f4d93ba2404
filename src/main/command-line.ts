import type { Command } from 'commander';
import { runCli } from '#src/cli/index.ts';
import { toFreeholdError } from '#src/kernel/index.ts';
import { toStorageError } from '#src/objects/index.ts';
import type { ChildMessage } from './child.ts';
import type { Env } from './config.ts';
import { addFailoverCommand } from './failover.ts';
import { addRecoverCommand } from './recover.ts';
import { addRecoveryKitCommand, addRotateKeyCommand } from './recovery-kit.ts';
import { addStaffCommands } from './staff-links.ts';
import { addStatusCommands } from './status.ts';
import type { UpOptions } from './up.ts';
import { addUserCommands } from './user-links.ts';
import { readVersion } from './version.ts';

/** All commands: those that run Freehold are ours, the others speak with a running installation. @returns the exit code */
export async function runCommandLine(argv: readonly string[], env: Env): Promise<number> {
  if (argv[0] === 'run' && process.channel) return runChild(argv[1], env);
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

/** Whole servers are loaded only by who becomes one: a command that asks a question answers in a quarter of the time. */
async function runRole(role: string, env: Env): Promise<void> {
  if (role === 'control') return (await import('./control.ts')).runControl(env);
  if (role === 'gateway') return (await import('./gateway.ts')).runGateway(env);
  if (role === 'shipper') return (await import('./shipper.ts')).runShipper(env);
  if (role === 'apps') return (await import('./apps-keeper.ts')).runAppsKeeper(env);
  if (role === 'shipped-wal' && process.channel) return (await import('./shipped-wal.ts')).runShippedWal(env);
  throw new TypeError(`there is no role ${role}; use control, gateway, shipper or apps`);
}

/** A child of the supervisor: what keeps it from starting goes up the channel, in words. */
async function runChild(role: string | undefined, env: Env): Promise<number> {
  try {
    await runRole(role ?? '', env);
    return 0;
  } catch (error) {
    const { code, message, hint } = toFreeholdError(toStorageError(error));
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.send?.({ type: 'failed', code, text: message, hint } satisfies ChildMessage);
    process.exit(1);
  }
}
