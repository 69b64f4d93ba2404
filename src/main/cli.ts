const argv = process.argv.slice(2);
// A child of the supervisor needs no commands, and a command none of the roles.
const exitCode =
  argv[0] === 'run' && process.channel
    ? await (await import('./roles.ts')).runChild(argv[1], process.env)
    : await (await import('./command-line.ts')).runCommandLine(argv, process.env);
// `doctor` says by itself that it found something.
if (exitCode !== 0) process.exitCode = exitCode;
