/** What an error page says; every text is escaped. */
export interface ErrorPage {
  readonly status: number;
  /** What happened. */
  readonly title: string;
  /** Why it happened this time. */
  readonly detail?: string | undefined;
  /** What to do next. */
  readonly hint?: string | undefined;
  readonly code: string;
  readonly requestId: string;
  /** Nonce of the answer's policy; the page has one style element and nothing else that runs or loads. */
  readonly nonce: string;
  /** One link to go on; a path of this host. */
  readonly action?: { readonly href: `/${string}`; readonly text: string } | undefined;
}

/** A page that needs nothing but itself: it must work when nothing else does. Colours are those of web/design. */
export function renderErrorPage(page: ErrorPage): string {
  const { status, title, detail, hint, code, requestId, nonce, action } = page;
  const paragraph = (text: string | undefined, className: string) =>
    text ? `<p class="${className}">${escapeHtml(text)}</p>` : '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style nonce="${escapeHtml(nonce)}">${style}</style>
</head>
<body>
<main>
<svg width="28" height="28" viewBox="0 0 24 24" fill="none" aria-hidden="true"><path class="line" d="M3.5 6.5 14 3.5 20.5 9 18 20.5 6 18.5Z"/><path class="plot" d="M8 9.2 13 7.8 16.4 10.7 15.2 16.2 9.2 15.2Z"/></svg>
<h1>${escapeHtml(title)}</h1>
${paragraph(detail, 'detail')}
${paragraph(hint, 'hint')}
${action ? `<p><a href="${escapeHtml(action.href)}">${escapeHtml(action.text)}</a></p>` : ''}
<dl><dt>Status</dt><dd>${status}</dd><dt>Code</dt><dd>${escapeHtml(code)}</dd><dt>Request</dt><dd>${escapeHtml(requestId)}</dd></dl>
</main>
</body>
</html>
`;
}

const style = `
:root{color-scheme:light dark;--paper:#faf7f1;--sheet:#fffdf9;--ink:#211f1a;--quiet:#6b6356;--line:#e6dfd2;--own:#1c5a40}
@media (prefers-color-scheme:dark){:root{--paper:#1a1816;--sheet:#211f1c;--ink:#ebe7df;--quiet:#aaa397;--line:#35312c;--own:#9ccbb1}}
*{box-sizing:border-box;margin:0}
body{min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--paper);color:var(--ink);
font:400 15px/1.5 'Instrument Sans Variable',ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{width:100%;max-width:520px;padding:32px;background:var(--sheet);border:1px solid var(--line);border-radius:8px;overflow-wrap:anywhere}
svg{display:block;margin-bottom:20px}.line{stroke:var(--own);stroke-width:2;stroke-linejoin:round}.plot{fill:var(--own)}
h1{font-size:22px;line-height:1.25;font-weight:600;text-wrap:balance;margin-bottom:8px}
p{margin-top:8px}.hint{color:var(--quiet)}
a{color:var(--own);font-weight:600;text-underline-offset:3px}
a:focus-visible{outline:2px solid var(--own);outline-offset:3px;border-radius:2px}
dl{display:grid;grid-template-columns:auto 1fr;gap:4px 16px;margin-top:24px;padding-top:16px;border-top:1px solid var(--line);
color:var(--quiet);font-size:13px;font-variant-numeric:tabular-nums}
dd{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;line-height:1.65}
`;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
