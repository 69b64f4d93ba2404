import { runCommandLine } from './command-line.ts';

const exitCode = await runCommandLine(process.argv.slice(2), process.env);
// `doctor` says by itself that it found something.
if (exitCode !== 0) process.exitCode = exitCode;
