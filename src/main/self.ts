/** How to start ourselves again, and where our own files lie. */
export const freehold = {
  node: process.execPath,
  nodeArgs: process.execArgv,
  /** Root of the checkout, with a slash at the end. */
  root: new URL('../../', import.meta.url),
} as const;
