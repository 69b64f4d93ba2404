import type { Env } from './config.ts';
import { runControl } from './control.ts';
import { runGateway } from './gateway.ts';
import { up } from './up.ts';

export async function runCommandLine(argv: readonly string[], env: Env): Promise<number> {
  const [command, ...rest] = argv;
  const option = (name: string) => {
    const i = rest.indexOf(name);
    return i < 0 ? undefined : rest[i + 1];
  };
  if (command === 'run') {
    if (rest[0] === 'control') await runControl(env);
    else await runGateway(env);
    return 0;
  }
  if (command === 'up') {
    await up(
      {
        demo: rest.includes('--demo'),
        json: rest.includes('--json'),
        data: option('--data'),
        port: option('--port'),
        consolePort: option('--console-port'),
      },
      env,
    );
    return 0;
  }
  return 2;
}
