export interface DemoAccount {
  readonly tenant: string;
  readonly url: string;
  readonly email: string;
  readonly password: string;
}

export interface ReadyFacts {
  readonly json: boolean;
  readonly gateway: string;
  readonly console: string;
  readonly ca: string;
  readonly setupUrl: string | undefined;
  /** Not for machines: their output is kept in logs. `./freehold recovery-kit` makes another. */
  readonly recoveryKit: string | undefined;
  readonly demo: readonly DemoAccount[];
}

/** The one thing `up` writes to standard output: one JSON line for machines, or what a person needs next. */
export function printReady({ json, gateway, console, ca, setupUrl, recoveryKit, demo }: ReadyFacts): void {
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ready: true, gateway, console, ca, pid: process.pid, ...(setupUrl ? { setupUrl } : {}), ...(demo.length ? { demo } : {}) })}\n`,
    );
    return;
  }
  const lines = [
    '',
    'Freehold is running.',
    '',
    `  Tenants   ${gateway.replace('https://', 'https://NAME.')}`,
    `  Console   ${console}`,
  ];
  if (setupUrl)
    lines.push(
      '',
      'Set up the first staff member, with an authenticator app at hand (the link works once):',
      `  ${setupUrl}`,
    );
  if (demo.length) {
    lines.push('', 'Demo tenants, ready to sign in:');
    for (const account of demo) lines.push(`  ${account.url}`, `    ${account.email}`, `    ${account.password}`);
  } else {
    lines.push('', 'Create a tenant:', '  ./freehold tenant create NAME --admin-email YOU@EXAMPLE.COM');
  }
  if (recoveryKit)
    lines.push(
      '',
      'Print this page and keep it away from this machine. It is shown once; ./freehold recovery-kit makes another.',
      '',
      recoveryKit,
    );
  lines.push(
    '',
    'Browsers warn until they trust the local certificate authority:',
    `  ${ca}`,
    '',
    'Ctrl-C stops everything in order.',
    '',
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}
