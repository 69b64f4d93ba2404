/** Where a sign-in leads, as the browser asked for it: a path of this host and nothing else. The same rule as web/design/next.ts, here because it is kept. */
export function parseNextPath(text: string | undefined): string {
  if (text === undefined || text.length > 2_000 || !/^\/[\x21-\x7e]*$/.test(text) || text.includes('\\')) return '/';
  const here = 'https://here.invalid';
  if (!URL.canParse(text, here)) return '/';
  const url = new URL(text, here);
  // `/.//elsewhere` is a path of ours whose normal form would be another host.
  if (url.origin !== here || url.pathname.startsWith('//')) return '/';
  if (url.pathname.startsWith('/-/sign-')) return '/';
  return url.pathname + url.search + url.hash;
}
