/** Where to go after signing in: a path of this very host (`origin`) and nothing else, or the start page. */
export function safeNext(next: string | undefined, origin = window.location.origin): string {
  if (!next?.startsWith('/')) return '/';
  try {
    const url = new URL(next, origin);
    // `/.//elsewhere` is a path of ours whose normal form would be another host.
    if (url.origin !== origin || url.pathname.startsWith('//') || /^\/(?:-\/)?sign-in/.test(url.pathname)) return '/';
    return url.pathname + url.search + url.hash;
  } catch {
    return '/';
  }
}
