/** Where to go after signing in: a path of this very host (`origin`) and nothing else, or the start page. */
export function safeNext(next: string | undefined, origin = window.location.origin): string {
  if (!next?.startsWith('/')) return '/';
  try {
    const url = new URL(next, origin);
    if (url.origin !== origin || /^\/(?:-\/)?sign-in/.test(url.pathname)) return '/';
    return url.pathname + url.search + url.hash;
  } catch {
    return '/';
  }
}
